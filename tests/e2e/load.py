"""Stream the heavy feed: 2,000 trades a second of symbols that no earlier run used.

A generated market numbers trades by minute and rate, so another rate needs other symbols, or ids would jump. The
default symbols pause meanwhile; when they continue, the producer repairs their gap from REST.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.platforms import Platform
from tests.e2e.recomputation import DEFAULT_SYMBOLS, streamed_up_to, wait_caught_up, wait_consumed
from tests.e2e.waiting import Stopwatch, wait_until

TRADES_PER_MINUTE = 40_000  # of each of three symbols, so 2,000 a second in all
PREFIX = "E2E"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Load:
    """A running heavy feed: its symbols, and the time since its start."""

    symbols: tuple[str, ...]
    running: Stopwatch


def new_symbols(now: float) -> tuple[str, ...]:
    """Return three symbols named after the second ``now``, so that no two runs share them."""
    number, mark = int(now), ""
    while number:
        number, digit = divmod(number, 36)
        mark = _DIGITS[digit] + mark
    return tuple(f"{PREFIX}{mark}{letter}USDT" for letter in "ABC")


@contextmanager
def heavy_load(platform: Platform) -> Iterator[Load]:
    """Stream the heavy feed instead of the default one; at the end, restore that and remove all stored trades."""
    symbols = new_symbols(time.time())
    feed = {"SYMBOLS": ",".join(symbols)}
    try:
        platform.merge_by(platform.variant, [*DEFAULT_SYMBOLS, *symbols])
        # A short history, because REST computes its trades on request, 40,000 for each minute.
        market = {"SIM_TRADES_PER_MINUTE": str(TRADES_PER_MINUTE), "SIM_HISTORY_MINUTES": "1"}
        platform.exchange.change(feed | market)
        platform.change("producer", settings=feed)
        wait_until(lambda: set(streamed_up_to(platform)) == set(symbols), 60, "the heavy feed streams")
        running = Stopwatch()
        wait_caught_up(platform, symbols)
        yield Load(symbols, running)
    finally:
        platform.exchange.change_back()
        platform.change_back("producer")
        try:
            wait_consumed(platform)  # or the consumer, back at its default symbols, would reject the rest as unknown
        finally:
            platform.merge_by(platform.variant, DEFAULT_SYMBOLS)
            platform.change_back()  # and with them the second tags
        _forget(platform, symbols)


def _forget(platform: Platform, symbols: tuple[str, ...]) -> None:
    """Delete all stored trades of ``symbols``, so that the batch never reads them."""
    with platform.postgres("superuser") as connection, connection.transaction():
        for table in ("fact_realtime_trades_1m", "trade_id_ranges", "raw_objects"):
            connection.execute(f"delete from {table} where symbol = any(%s)", (list(symbols),))
    store = platform.objects("sweep")
    for symbol in symbols:
        for item in list(store.list("raw", f"trades/symbol={symbol}/")):
            store.delete("raw", item.key)
