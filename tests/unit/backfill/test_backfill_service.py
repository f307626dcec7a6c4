"""Store official klines: open ones are corrected later, and progress is a bar or log lines."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from crypto_analytics.backfill import service
from crypto_analytics.backfill.progress_reporter import BarReporter, LogReporter, progress_reporter
from crypto_analytics.backfill.service import Backfill, MisalignedKline, _check
from crypto_analytics.binance.rest import PAGE
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import MINUTE, SECOND
from crypto_analytics.store.symbols import SymbolChanges
from tests.unit.backfill.test_planner import FIRST, kline


class MemoryTable:
    """The functions of ``store.klines`` that the backfill uses, over a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[int, Kline] = {}

    def minutes_held(self, connection: object, symbol: str, first: int, last: int) -> IdRanges:
        return IdRanges((minute, minute) for minute in self.rows if first <= minute <= last)

    def upsert(self, connection: object, symbol: str, klines: Sequence[Kline]) -> int:
        changed = [row for row in klines if self.rows.get(row.open_time // MINUTE) != row]
        self.rows.update((row.open_time // MINUTE, row) for row in changed)
        return len(changed)


class Exchange:
    """Has a kline for every minute; the one still open at ``now`` (us) has half of its final volume."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.asked: list[tuple[int, int]] = []

    async def klines(self, symbol: str, start_ms: int, end_ms: int | None = None, limit: int = PAGE) -> list[Kline]:
        start, newest = start_ms * 1000 // MINUTE, self.now // MINUTE
        self.asked.append((start, limit))
        rows = [replace(kline(minute), volume="2.0") for minute in range(start, min(start + limit, newest + 1))]
        return [replace(row, volume="1.0") if row.close_time >= self.now else row for row in rows]


def test_an_open_kline_stored_by_a_clock_that_is_ahead_is_corrected_however_late_the_next_run_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = MemoryTable()
    monkeypatch.setattr(service, "table", table)
    monkeypatch.setattr(service, "followed", SimpleNamespace(reconcile=lambda *_: SymbolChanges([], [])))
    connection: Any = nullcontext(SimpleNamespace(transaction=nullcontext))
    exchange = Exchange(FIRST * MINUTE + 57 * SECOND + SECOND // 2)

    def run(ahead: int) -> tuple[int, int]:
        exchange.asked.clear()
        backfill = Backfill(exchange, lambda: connection, lambda: exchange.now + ahead, LogReporter())
        asyncio.run(backfill.run(["BTCUSDT"], 1))
        return backfill.summary.written, backfill.summary.absent

    assert run(3 * SECOND) == (1440, 0)
    assert table.rows[FIRST].volume == "1.0", "stored while it was open"
    exchange.now += 120 * MINUTE
    assert run(0) == (1 + 119, 0)
    assert exchange.asked == [(FIRST - 9, 10 + 119)]
    assert {row.volume for row in table.rows.values()} == {"2.0"}
    assert run(0) == (0, 0)
    assert exchange.asked == [(FIRST + 110, 10)], "nothing is missing, so the newest ten minutes alone are read"


def test_a_kline_that_begins_within_a_minute_is_refused() -> None:
    good = kline(FIRST)
    _check("BTCUSDT", [good])
    with pytest.raises(MisalignedKline, match="whole minute"):
        _check("BTCUSDT", [good, replace(good, open_time=good.open_time + 1)])


def test_bars_on_a_terminal_and_log_lines_elsewhere() -> None:
    with progress_reporter(terminal=False) as progress:
        assert isinstance(progress, LogReporter)
    with progress_reporter(terminal=True) as progress:
        assert isinstance(progress, BarReporter)
        progress.begin("BTCUSDT", 5)
        progress.advance("BTCUSDT", 5)
