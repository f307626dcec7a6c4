"""2,500 odd archive files: each is read exactly or refused with file, row and reason; none is read in part."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from exchange_simulator.recordings import RecordingError, read, read_klines
from tests.unit.exchange_simulator.odd_archives import FAULTS, Bad, Case, Good, Value, cases

FILES = 2500


def content(case: Case) -> Good:
    """Return the result of reading the file, as the oracle describes it."""
    if case.kind == "klines":
        klines = read_klines(case.path, case.asked)
        rows: list[Value] = [
            (k.open_time, k.open, k.high, k.low, k.close, k.volume, k.quote_volume, k.trades, k.taker_buy_volume,
             k.taker_buy_quote_volume)
            for _, k in sorted(klines.rows.items())
        ]  # fmt: skip
        return Good(klines.symbol, rows, klines.skipped.void, klines.skipped.repeated, klines.skipped.is_reordered)
    recording = read(case.path, case.asked)
    (symbol,) = recording.symbols
    skipped = recording.skipped
    rows = [
        (r.id, r.price, r.quantity, r.first_id, r.last_id, r.time, r.buyer_is_maker, r.is_best_match)
        for r in recording.trades
    ]
    assert {trade.symbol for trade in recording.trades} == {symbol}
    return Good(symbol, rows, skipped.void, skipped.repeated, skipped.is_reordered)


def numbers(value: Value) -> Value:
    """Return the oracle's kline with its decimals as numbers: klines are kept so, trades as their texts."""
    return tuple(Decimal(cell) if isinstance(cell, str) else cell for cell in value)


def check(case: Case) -> None:
    """Compare the result of reading a file with the expected one."""
    if isinstance(case.expected, Bad):
        with pytest.raises(RecordingError) as caught:
            content(case)
        message = str(caught.value)
        assert message.startswith(f"{case.path}: ")
        named = re.search(r": row (\d+): ", message)
        assert (int(named[1]) if named else None) == case.expected.row, message
        for words in case.expected.words:
            assert words in message
        return
    expected = case.expected
    if case.kind == "klines":
        expected = Good(
            expected.symbol, [numbers(value) for value in expected.values], expected.void, expected.repeated
        )
    assert content(case) == expected


def test_each_odd_archive_is_read_exactly_or_refused_at_its_first_bad_row(tmp_path: Path) -> None:
    made: Counter[str] = Counter()
    wrong: list[str] = []
    for case in cases(tmp_path, FILES, seed=12):
        made[case.fault] += 1
        try:
            check(case)
        except (
            AssertionError,
            RecordingError,
            pytest.fail.Exception,
        ) as error:
            wrong.append(f"{case.fault}: {case.path.name} asked {case.asked}: {case.expected}: {error!r}")
    assert wrong == []
    assert made["none"] > FILES / 4
    assert min(made[fault] for fault in FAULTS) >= 10, made
