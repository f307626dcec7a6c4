"""Reading recordings."""

import zipfile
from pathlib import Path

import pytest

from exchange_simulator.recorded_market import RecordedMarket, RecordedPlay
from exchange_simulator.recordings import Recording, RecordingError, describe, read, read_klines
from exchange_simulator.trades import AggregateTrade, AnyTrade, Trade

TRADES_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
AGG_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match"
TRADE = "7,0.5,2,1,1741046401271497,True,True"


def plain(recording: Recording) -> list[AnyTrade]:
    return [trade._replace(message=None) for trade in recording.trades]


def zipped(path: Path, member: str, text: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return path


def test_all_file_formats_of_the_same_trades_give_the_same_recording(recorded_data: Path, tmp_path: Path) -> None:
    source = recorded_data / "TRXUSDT-trades-2025-03-04.csv"
    text = source.read_text()
    expected = plain(read(source))
    assert len(expected) == 10_000
    assert expected[0] == Trade("TRXUSDT", 348656870, "0.2312", "2619.4", 1741046401271497, buyer_is_maker=True)
    headed = tmp_path / "TRXUSDT-trades-2025-03-04.csv"
    headed.write_text(f"{TRADES_HEADER}\n{text}".replace("\n", "\r\n").replace("True", "true"))
    variants = [
        headed,
        recorded_data / "TRXUSDT-stream-2025-03-04.tsv",
        zipped(tmp_path / "TRXUSDT-trades-2025-03-04.zip", "TRXUSDT-trades-2025-03-04.csv", text),
        zipped(tmp_path / "day.zip", "TRXUSDT-trades-2025-03-04.csv", f"{TRADES_HEADER}\n{text}"),
        zipped(tmp_path / "stream.zip", "recorded.tsv", (recorded_data / "TRXUSDT-stream-2025-03-04.tsv").read_text()),
    ]
    for variant in variants:
        assert plain(read(variant)) == expected, variant


def test_aggregated_trades(recorded_data: Path, tmp_path: Path) -> None:
    source = recorded_data / "BTCUSDT-aggTrades-2020-01-02.csv"
    recording = read(source)
    assert (recording.stream_type, recording.symbols, len(recording.trades)) == ("aggTrade", ("BTCUSDT",), 1000)
    assert recording.trades[0] == AggregateTrade(
        "BTCUSDT", 202790190, "7139.89000000", "0.06702300", 222825297, 222825297, 1577977823305000, False, True
    )
    headed = tmp_path / "BTCUSDT-aggTrades-2020-01-02.csv"
    headed.write_text(f"{AGG_HEADER}\n{source.read_text()}")
    assert plain(read(headed)) == plain(recording)


def test_klines_in_milliseconds_and_microseconds(recorded_data: Path, tmp_path: Path) -> None:
    source = recorded_data / "BTCUSDT-1m-2020-05-06.csv"
    klines = read_klines(source)
    assert (klines.symbol, len(klines.rows), min(klines.rows)) == ("BTCUSDT", 60, 1588740120000000)
    rows = [line.split(",") for line in source.read_text().splitlines()]
    micro = tmp_path / "BTCUSDT-1m.csv"
    micro.write_text("\n".join(",".join([r[0] + "000", *r[1:6], r[6] + "999", *r[7:]]) for r in rows))
    assert read_klines(micro).rows == klines.rows


def test_describe_returns_trade_times_and_not_receive_times(recorded_data: Path) -> None:
    description = describe(recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv")
    assert (description.kind, description.symbols, description.rows) == ("stream", ("TRXUSDT",), 10_000)
    assert (description.first_time, description.last_time) == (1741046401271497, 1741049279150375)
    klines = describe(recorded_data / "BTCUSDT-1m-2020-05-06.csv")
    assert (klines.kind, klines.rows, klines.last_time) == ("klines", 60, 1588743660000000)


def test_a_faulty_stream_is_played_unchanged_and_rest_returns_each_trade_once(recorded_data: Path) -> None:
    path = recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv"
    recording = read(path)
    (part,) = RecordedPlay(recording).parts(0)
    played = [trade.message for trade in part]
    assert played == [line.split("\t", 1)[1] for line in path.read_text().splitlines()]
    market = RecordedMarket(recording)
    first, last = market.span("TRXUSDT")
    ids = [
        trade.id for open_time in range(first, last + 1, 60_000_000) for trade in market.trades("TRXUSDT", open_time)
    ]
    assert len(ids) == 9_999
    assert ids[:4] == [348656870, 348656871, 348656873, 348656874]


def test_the_end_of_a_play_is_its_latest_trade(recorded_data: Path) -> None:
    play = RecordedPlay(read(recorded_data / "TRXUSDT-stream-2025-03-04-faulty.tsv"))
    assert (play.ends_at, play.total, play.final_id("TRXUSDT")) == (1741049279150375, 10_000, 348666869)
    aggregated = RecordedPlay(read(recorded_data / "BTCUSDT-aggTrades-2020-01-02.csv"))
    assert aggregated.final_id("BTCUSDT") == 222826320


def test_aggregates_of_recorded_trades_never_span_a_missing_id(tmp_path: Path) -> None:
    path = tmp_path / "ABUSDT-trades-2025-03-04.csv"
    rows = ["1,0.5,2,1", "2,0.5,3,1", "4,0.5,4,1", "5,0.6,5,1"]
    path.write_text("".join(f"{row},1741046401271497,True,True\n" for row in rows))
    market = RecordedMarket(read(path))
    aggregates = market.aggregates("ABUSDT", market.span("ABUSDT")[0])
    assert [(a.id, a.first_id, a.last_id, a.quantity) for a in aggregates] == [
        (1, 1, 2, "5"),
        (2, 4, 4, "4"),
        (3, 5, 5, "5"),
    ]


def test_aggregates_of_recorded_trades_are_numbered_through(recorded_data: Path) -> None:
    market = RecordedMarket(read(recorded_data / "TRXUSDT-trades-2025-03-04.csv"))
    first, last = market.span("TRXUSDT")
    aggregates = [
        a for open_time in range(first, last + 1, 60_000_000) for a in market.aggregates("TRXUSDT", open_time)
    ]
    assert [a.id for a in aggregates] == list(range(1, len(aggregates) + 1))
    assert len(aggregates) < 10_000
    assert sum(a.last_id - a.first_id + 1 for a in aggregates) == 10_000
    for aggregate in aggregates[:: len(aggregates) // 50]:
        minute = market.minute_of_aggregate("TRXUSDT", aggregate.id)
        assert minute <= aggregate.time < minute + 60_000_000


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("AUSDT-trades.csv", "", "it is empty"),
        ("AUSDT-trades.csv", "\n\n", "it has no rows"),
        ("AUSDT-trades.csv", f"{TRADES_HEADER}\n", "it has no rows"),
        ("AUSDT-trades.csv", "1,2,3\n", "row 1: unknown layout with 3 columns"),
        ("AUSDT-trades.csv", "7,0.5,2,1,1741046401271497,True\n", "row 1: this is a futures archive: trades with 6"),
        ("AUSDT-trades.csv", "7,1,2,5,9,1741046401271497,True\n", "row 1: this is a futures archive: aggTrades with 7"),
        ("AUSDT-trades.csv", "7,0.5,2,1,1741046401271497\n", "row 1: unknown layout with 5 columns"),
        ("AUSDT-trades.csv", "7;0.5;2;1;1741046401271497;True;True\n", "1 columns, the cells are separated by ';'"),
        ("AUSDT-trades.csv", "x7,0.5,2,1,1741046401271497,True,True\n", "row 1: 'x7' is no integer (column id)"),
        ("AUSDT-trades.csv", f"id,price\n{TRADE}\n", "row 1: the header has 2 columns and row 2 has 7"),
        ("AUSDT-trades.csv", f"{TRADE}\n{TRADES_HEADER}\n", "row 2: 'id' is no integer (column id)"),
        ("AUSDT-trades.csv", "7,0.5,2,1,1741046401,True,True\n", "row 1: '1741046401' is no time in milliseconds or"),
        ("AUSDT-trades.csv", f"{TRADE}\n{TRADE.replace('0.5', '0.6')}\n", "row 2: it contradicts row 1, which has"),
        ("AUSDT-trades.csv", '7,"0.5,2,1,1741046401271497,True,True\n', "row 1: its quotes are wrong"),
        ("AUSDT-aggTrades.csv", f"{TRADE}\n", "row 1: 7 columns, as trades have, but its name is that of aggTrades"),
        ("AUSDT-aggTrades.csv", "7,0,0,-1,-1,1741046401271497,True,True\n", "it has no rows but 1 void aggregates"),
        ("AUSDT-aggTrades.csv", "7,0,0,9,8,1741046401271497,True,True\n", "row 1: '9' is greater than the last"),
        ("2025-03-04_AUSDT-trades.csv", f"{TRADE}\n", "its name does not contain the symbol; set SYMBOLS="),
        ("ausdt-trades.csv", f"{TRADE}\n", "its name does not contain the symbol"),
        ("a.tsv", '{"stream":"a@trade"}\n', "row 1: a recorded stream has the receive time"),
        ("AUSDT-trades.csv", f"{TRADE}\n{TRADE},x\n", "row 2: 8 columns where the rows before have 7"),
        ("AUSDT-trades.csv", f"{TRADE}\n\n8,0.5,2,1\n", "row 3: 4 columns"),
        ("AUSDT-trades.csv", f"{TRADE}\n8,0.5x,2,1,1741046401271497,True,True\n", "row 2: '0.5x' is no decimal number"),
        ("AUSDT-trades.csv", "7,-1,2,1,1741046401271497,True,True\n", "row 1: '-1' is no decimal number"),
        ("AUSDT-trades.csv", f"{TRADE}\nx,0.5,2,1,1741046401271497,True,True\n", "row 2: 'x' is no integer"),
        ("AUSDT-trades.csv", "7,0.5,2,1,1741046401271497,perhaps,True\n", "row 1: 'perhaps' is neither true nor false"),
        ("trades.csv", f"{TRADE}\n", "its name does not contain the symbol"),
        ("AUSDT-1m.csv", "1588740120000,1,1,1,1,1,1588740999999,1,1,1,1,0\n", "row 1: 1588740120000 to 1588740999999"),
        ("a.tsv", "1741046401272286\t{}\n", "row 1: Object missing required field"),
        ("a.tsv", "soon\t{}\n", "row 1: 'soon' is no integer (column receive time)"),
    ],
)  # fmt: skip
def test_errors_name_the_row_and_the_reason(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RecordingError) as caught:
        describe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("TRXUSDT-trades-2025-03-04.csv", "TRXUSDT"),
        ("TRXUSDT-trades-2025-03.csv", "TRXUSDT"),
        ("1INCHUSDT-trades-2025-03-04.csv", "1INCHUSDT"),
        ("BTCUSDT_240329-trades-2024-03-04.csv", "BTCUSDT_240329"),
        ("币安人生USDT-trades-2025-11-04.csv", "币安人生USDT"),
        ("2025-03-04_TRXUSDT-trades.csv", None),
        ("20250304_TRXUSDT-trades.csv", None),
        ("2025_TRXUSDT-trades.csv", None),
        ("TRXUSDT_20250304-trades.csv", None),
        ("2025-trades.csv", None),
        ("TRXUSDT_2025-03-04.csv", None),
        ("futures-BTCUSDT-trades-2023.csv", None),
        ("trades.csv", None),
    ],
)  # fmt: skip
def test_the_symbol_comes_from_the_file_name_or_the_setting(tmp_path: Path, name: str, symbol: str | None) -> None:
    path = tmp_path / name
    path.write_text(f"{TRADE}\n")
    assert read(path, ["XRPUSDT"]).symbols == (symbol or "XRPUSDT",)
    if symbol is None:
        for asked in ((), ("XRPUSDT", "BNBUSDT")):
            with pytest.raises(RecordingError, match="its name does not contain the symbol"):
                read(path, asked)


def test_the_names_of_a_zip_and_its_member_must_agree(tmp_path: Path) -> None:
    renamed = zipped(tmp_path / "day.zip", "TRXUSDT-trades-2025-03-04.csv", TRADE)
    assert read(renamed).symbols == ("TRXUSDT",)
    other = zipped(tmp_path / "BTCUSDT-trades-2025-03-04.zip", "TRXUSDT-trades-2025-03-04.csv", TRADE)
    with pytest.raises(RecordingError, match="name different archives"):
        read(other, ["BTCUSDT"])
    bad = zipped(tmp_path / "TRXUSDT-trades.zip", "TRXUSDT-trades.csv", f"{TRADE}\nx{TRADE}")
    with pytest.raises(RecordingError, match=r"TRXUSDT-trades\.csv: row 2: 'x7' is no integer") as caught:
        read(bad)
    assert caught.value.command == f"unzip -p {bad} TRXUSDT-trades.csv | sed -n 2p"


def test_rows_are_ordered_and_repeated_and_void_ones_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-aggTrades-2018-01.csv"
    rows = ["2,0.5,1,4,4", "0,0.5,1,0,1", "1,0,0.0,-1,-1", "0,0.5,1,0,1", "3,0.6,1,5,7"]
    path.write_text("".join(f"{row},1518134280000,true,True\n" for row in rows))
    recording = read(path)
    assert [(a.id, a.first_id, a.last_id) for a in recording.trades if isinstance(a, AggregateTrade)] == [
        (0, 0, 1),
        (2, 4, 4),
        (3, 5, 7),
    ]
    assert (recording.skipped.void, recording.skipped.repeated, recording.skipped.is_reordered) == (1, 1, True)
    assert describe(path).skipped == recording.skipped


def test_two_different_rows_of_one_minute_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-1m-2018-02.csv"
    row = "1518134280000,1,2,0.5,1.5,10,1518134339999,15,3,5,7,0"
    path.write_text(f"{row}\n{row}\n")
    klines = read_klines(path)
    assert (len(klines.rows), klines.skipped.repeated) == (1, 1)
    path.write_text(f"{row}\n{row.replace('15,3,', '15,4,')}\n")
    with pytest.raises(RecordingError, match="row 2: it contradicts an earlier row of the same minute"):
        read_klines(path)


def test_a_recorded_stream_with_an_invalid_symbol_is_refused(tmp_path: Path) -> None:
    message = '{"stream":"%s@trade","data":{"e":"trade","s":"%s","t":0,"p":"1","q":"1","T":1741046401271497,"m":true}}'
    path = tmp_path / "a.tsv"
    path.write_text(f"1\t{message % ('币安人生usdt', '币安人生USDT')}\n")
    assert read(path).symbols == ("币安人生USDT",)
    path.write_text(f"1\t{message % ('ausdt', 'AUSDT')}\n2\t{message % ('busdt', 'busdt')}\n")
    with pytest.raises(RecordingError, match="row 2: 'busdt' is not a valid symbol"):
        read(path)


def test_a_recorded_trade_without_a_price_is_streamed_but_not_returned_by_rest(tmp_path: Path) -> None:
    message = '{"stream":"a@trade","data":{"e":"trade","s":"A","t":%d,"p":"%s","q":"1","T":1741046401271497,"m":true}}'
    path = tmp_path / "a.tsv"
    path.write_text(f"1\t{message % (0, '1')}\n2\t{message % (1, 'NaN')}\n")
    recording = read(path)
    assert RecordedPlay(recording).total == 2
    market = RecordedMarket(recording)
    assert [trade.id for trade in market.trades("A", market.span("A")[0])] == [0]


def test_mixed_messages_are_refused(tmp_path: Path) -> None:
    trade = '1\t{"stream":"a@trade","data":{"e":"trade","s":"A","t":1,"p":"1","q":"1","T":1741046401271497,"m":true}}'
    aggregate = (
        '2\t{"stream":"a@aggTrade","data":{"e":"aggTrade","s":"A","a":1,"p":"1","q":"1","f":1,"l":1'
        ',"T":1741046401271497,"m":true}}'
    )
    path = tmp_path / "a.tsv"
    path.write_text(f"{trade}\n{aggregate}\n")
    with pytest.raises(RecordingError, match="row 2: trade and aggTrade messages are mixed"):
        read(path)
    path.write_text(f"{aggregate}\n")
    assert read(path).stream_type == "aggTrade"


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        describe(tmp_path / "AUSDT-trades.csv")
    with pytest.raises(RecordingError, match="cannot be read"):
        describe(tmp_path)
    binary = tmp_path / "AUSDT-trades.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(RecordingError, match="row 1: this is not UTF-8 text"):
        describe(binary)
    broken = tmp_path / "AUSDT-trades.zip"
    broken.write_bytes(b"PK not really")
    with pytest.raises(RecordingError, match="cannot be read"):
        describe(broken)
    two = tmp_path / "BUSDT-trades.zip"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.csv", TRADE)
        archive.writestr("b.csv", TRADE)
    with pytest.raises(RecordingError, match="must hold one"):
        describe(two)


def test_klines_are_refused_as_trades_and_trades_as_klines(recorded_data: Path) -> None:
    with pytest.raises(RecordingError, match="SIM_KLINES_FILE"):
        read(recorded_data / "BTCUSDT-1m-2020-05-06.csv")
    with pytest.raises(RecordingError, match="12-column klines"):
        read_klines(recorded_data / "TRXUSDT-trades-2025-03-04.csv")
