"""Recordings that failed in the past: the check before the start refuses or accepts each."""

from pathlib import Path

import pytest

from exchange_simulator.recordings import describe
from ops.common.errors import Problem
from ops.local import exchange


@pytest.mark.parametrize(
    ("name", "setting", "reason", "command"),
    [
        ("BTCUSDT-1m-firstbad.csv", "REPLAY", "row 1: 'x1518134280000' is no integer (column openTime)", "sed -n 1p"),
        ("BTCUSDT-1m-firstbad.csv", "KLINES", "row 1: 'x1518134280000' is no integer (column openTime)", "sed -n 1p"),
        ("2025-03-04_TRXUSDT-trades.csv", "REPLAY", "its name does not contain the symbol; set SYMB", "head -n 3"),
        ("futures-BTCUSDT-aggTrades-2023.csv", "REPLAY", "row 2: this is a futures archive: aggTrades", "sed -n 2p"),
        ("stream-lower-case-symbol.tsv", "REPLAY", "row 1: 'trxusdt' is not a valid symbol (", "sed -n 1p"),
    ],
)  # fmt: skip
def test_a_faulty_recording_is_refused_in_one_line_with_the_next_command(
    recorded_faults: Path, name: str, setting: str, reason: str, command: str
) -> None:
    path = recorded_faults / name
    with pytest.raises(Problem) as caught:
        exchange.check_recording(setting, path, ("BTCUSDT", "ETHUSDT", "BNBUSDT"))
    line = str(caught.value)
    assert line.startswith(f"{setting} is no recording: {path}: {reason}")
    assert line.endswith(f"; look at it: {command} {path}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "asked", "symbol", "held"),
    [
        ("NEWUSDT-trades-id0.csv", (), "NEWUSDT", (300, 0)),
        ("VOIDUSDT-aggTrades-2018-01.csv", (), "VOIDUSDT", (200, 1)),
        ("ZEROUSDT-trades-zeroqty.csv", (), "ZEROUSDT", (300, 0)),
        ("stream-chinese-symbol.tsv", (), "币安人生USDT", (1, 0)),
        ("2025-03-04_TRXUSDT-trades.csv", ("TRXUSDT",), "TRXUSDT", (1, 0)),
    ],
)
def test_a_playable_recording_is_accepted(
    recorded_faults: Path, name: str, asked: tuple[str, ...], symbol: str, held: tuple[int, int]
) -> None:
    path = recorded_faults / name
    exchange.check_recording("REPLAY", path, asked)
    description = describe(path, asked)
    assert (description.symbols, description.rows, description.skipped.void) == ((symbol,), *held)
