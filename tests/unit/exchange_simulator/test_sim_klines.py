"""The simulator's klines, against the platform's candles, which share no code with them."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from crypto_analytics.core.candles import aggregate
from crypto_analytics.core.decimals import parse_scaled
from crypto_analytics.core.minutes import MINUTE
from crypto_analytics.core.trades import Trade as CoreTrade
from crypto_analytics.core.trades import TradeColumns
from exchange_simulator.generated_market import GeneratedMarket
from exchange_simulator.hidden_trades import HiddenTrades
from exchange_simulator.klines import Kline
from exchange_simulator.market import Market, Precision
from exchange_simulator.market_history import MarketHistory
from exchange_simulator.recorded_market import RecordedMarket
from exchange_simulator.recordings import read, read_klines
from exchange_simulator.trades import AggregateTrade, AnyTrade, StreamType, Trade

START = 1_767_571_200_000_000


def history(market: Market, klines: Path | None = None) -> MarketHistory:
    official = None if klines is None else {"BTCUSDT": read_klines(klines).rows}
    return MarketHistory(market, HiddenTrades(lambda: 0.0), official)


def klines_of(market: Market, symbol: str, until: int, length: int = MINUTE) -> list[Kline]:
    return asyncio.run(history(market).klines(symbol, length, limit=2000, until=until))


def core_candles(trades: Sequence[AnyTrade]) -> dict[int, dict[str, Decimal]]:
    columns = TradeColumns.of(
        CoreTrade(r.first_id, r.last_id, parse_scaled(r.price), parse_scaled(r.quantity), r.time, r.buyer_is_maker)
        for r in trades
    )
    return {
        open_time: {
            "open": Decimal(candle.open).scaleb(-8),
            "high": Decimal(candle.high).scaleb(-8),
            "low": Decimal(candle.low).scaleb(-8),
            "close": Decimal(candle.close).scaleb(-8),
            "volume": Decimal(candle.volume).scaleb(-8),
            "trades": Decimal(candle.trade_count),
            "taker_buy_volume": Decimal(candle.taker_buy_volume).scaleb(-8),
            "quote_volume": Decimal(candle.quote_volume).scaleb(-16),
            "taker_buy_quote_volume": Decimal(candle.taker_buy_quote_volume).scaleb(-16),
        }
        for open_time, candle in aggregate(columns).items()
    }


def assert_same(klines: Sequence[Kline], candles: dict[int, dict[str, Decimal]]) -> None:
    assert [kline.open_time for kline in klines if kline.trades] == sorted(candles)
    for kline in klines:
        for name, value in candles.get(kline.open_time, {}).items():
            own = Decimal(getattr(kline, name))
            if "quote" in name:  # cut to eight decimals trade by trade
                assert 0 <= value - own < kline.trades * Decimal("0.00000001")
            else:
                assert own == value, (kline.open_time, name)


def test_generated_trades_give_the_candles_of_core() -> None:
    market = GeneratedMarket(("BTCUSDT",), seed=5, trades_per_minute=300, first_open=START, end=START + 4 * MINUTE)
    trades = [trade for minute in range(4) for trade in market.trades("BTCUSDT", START + minute * MINUTE)]
    klines = klines_of(market, "BTCUSDT", START + 4 * MINUTE)
    assert len(klines) == 4
    assert_same(klines, core_candles(trades))


@pytest.mark.parametrize(
    "name",
    ["TRXUSDT-trades-2025-03-04", "BTCUSDT-trades-2020-08-31", "ETHBTC-trades-2023-03-20",
     "BTCUSDT-aggTrades-2020-01-02", "BTCUSDT-aggTrades-2020-05-06"],
)  # fmt: skip
def test_recorded_trades_give_the_candles_of_core(recorded_data: Path, name: str) -> None:
    recording = read(recorded_data / f"{name}.csv")
    market = RecordedMarket(recording)
    (symbol,) = market.symbols
    assert_same(klines_of(market, symbol, max(recording.trades.times)), core_candles(list(recording.trades)))


def test_a_recorded_minute_that_was_added_up_by_hand(recorded_data: Path) -> None:
    market = RecordedMarket(read(recorded_data / "BTCUSDT-trades-2020-08-31.csv"))
    second = klines_of(market, "BTCUSDT", 1_598_851_026_011_000)[1]
    assert [str(price) for price in second[2:6]] == [
        "11675.48000000",
        "11676.60000000",
        "11674.21000000",
        "11676.58000000",
    ]
    assert (str(second.volume), second.trades, str(second.taker_buy_volume)) == ("17.63165900", 435, "9.66788200")
    assert abs(second.quote_volume - Decimal("205858.38079051")) < Decimal("0.00001")


def test_closed_official_klines_replace_computed_ones(recorded_data: Path, tmp_path: Path) -> None:
    market = RecordedMarket(read(recorded_data / "BTCUSDT-aggTrades-2020-05-06.csv"))
    first = market.span("BTCUSDT")[0]
    file = tmp_path / "BTCUSDT-1m-2020-05-06.csv"
    rows = [(first - MINUTE, "9000"), (first + MINUTE, "9001"), (first + 2 * MINUTE, "9002")]
    file.write_text("".join(f"{t // 1000},{p},{p},{p},{p},1,{t // 1000 + 59_999},{p},1,0,0,0\n" for t, p in rows))
    known = history(market, file)

    def closes(until: int) -> list[tuple[int, int]]:
        klines = asyncio.run(known.klines("BTCUSDT", MINUTE, limit=1000, until=until))
        return [((kline.open_time - first) // MINUTE, kline.trades) for kline in klines]

    # The file leaves out the minute of the first trade: where it speaks for a symbol, nothing is made up.
    assert closes(first + MINUTE) == [(-1, 1)]
    computed_so_far = closes(first + 2 * MINUTE - 1)
    assert computed_so_far[:1] == [(-1, 1)]
    assert computed_so_far[1][0] == 1
    assert computed_so_far[1][1] > 1
    assert closes(first + 2 * MINUTE) == [(-1, 1), (1, 1)]
    assert closes(first + 3 * MINUTE)[:3] == [(-1, 1), (1, 1), (2, 1)]


class Sparse:
    """Trades in the first and the fourth minute."""

    symbols: tuple[str, ...] = ("BTCUSDT",)
    stream_type: StreamType = "trade"

    def span(self, symbol: str) -> tuple[int, int]:
        return START, START + 3 * MINUTE

    def trades(self, symbol: str, open_time: int) -> Sequence[Trade]:
        return {
            START: [Trade("BTCUSDT", 7, "10.5", "2", START + 1, buyer_is_maker=False)],
            START + 3 * MINUTE: [Trade("BTCUSDT", 8, "11", "1", START + 3 * MINUTE + 5, buyer_is_maker=True)],
        }.get(open_time, [])

    def aggregates(self, symbol: str, open_time: int) -> Sequence[AggregateTrade]:
        return []

    def minute_of_trade(self, symbol: str, trade_id: int) -> int:
        return START

    def minute_of_aggregate(self, symbol: str, aggregate_id: int) -> int:
        return START

    def precision(self, symbol: str) -> Precision:
        return Precision(8, 8)


def test_a_minute_without_trades_repeats_the_last_price() -> None:
    market = Sparse()
    klines = klines_of(market, "BTCUSDT", START + 5 * MINUTE + 10)
    assert [kline.open_time for kline in klines] == [START + minute * MINUTE for minute in range(6)]
    assert [kline.trades for kline in klines] == [1, 0, 0, 1, 0, 0]
    assert set(klines[1][2:6]) == {Decimal("10.5")}
    assert klines[1].volume == klines[1].quote_volume == 0
    assert set(klines[5][2:6]) == {Decimal(11)}


def test_a_minute_that_just_opened_is_not_shown_before_its_first_trade() -> None:
    market = Sparse()
    assert len(klines_of(market, "BTCUSDT", START + MINUTE)) == 1
    assert len(klines_of(market, "BTCUSDT", START + MINUTE + 1)) == 2


def test_longer_klines_combine_their_minutes() -> None:
    market = Sparse()
    (five,) = klines_of(market, "BTCUSDT", START + 4 * MINUTE, 5 * MINUTE)
    assert five == Kline(
        START, 5 * MINUTE, Decimal("10.5"), Decimal(11), Decimal("10.5"), Decimal(11),
        Decimal(3), Decimal(32), 2, Decimal(2), Decimal(21),
    )  # fmt: skip


def test_windows_and_limits() -> None:
    market = Sparse()
    known = history(market)

    def opens(**window: int) -> list[int]:
        arguments = {"limit": 1000, "until": START + 6 * MINUTE} | window
        klines = asyncio.run(known.klines("BTCUSDT", MINUTE, **arguments))
        return [(kline.open_time - START) // MINUTE for kline in klines]

    assert opens(limit=2) == [4, 5]
    assert opens(limit=2, start=START - 9 * MINUTE) == [0, 1]
    assert opens(start=START + 1, end=START + 3 * MINUTE) == [1, 2, 3]
    assert opens(limit=2, end=START + 3 * MINUTE) == [2, 3]
    assert opens(start=START + 60 * MINUTE) == []
    assert opens(until=START - 1) == []
