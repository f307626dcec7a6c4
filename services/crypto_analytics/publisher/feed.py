"""The publisher's view of PostgreSQL: the change feed of the candles, under a lock that one publisher holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import psycopg
from psycopg.rows import args_row

from crypto_analytics.publisher.messages import Published, time_text
from crypto_analytics.store.candle_changes import (
    CHANGES,
    CHANNEL,
    NEWEST_REVISIONS,
    CandleChange,
    NewestRevision,
)

# The server notices within 25 s that this host is gone, and releases the lock. Its default is two hours.
_KEEP_ALIVE = "set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3"

_LOCK = "select pg_try_advisory_lock(hashtextextended(%s, 20260105))"

_STORED = """
select
    candle.symbol, (extract(epoch from candle.open_time) * 1000000)::bigint, candle.revision,
    (extract(epoch from candle.updated_at) * 1000000)::bigint
from unnest(%s::text[], %s::bigint[]) as wanted (symbol, open_time)
join fact_realtime_trades_1m as candle
  on candle.symbol = wanted.symbol
  and candle.open_time = timestamptz 'epoch' + wanted.open_time * interval '1 microsecond'
"""


class CandleFeed:
    """A connection in autocommit mode. Every method raises psycopg.Error."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._changes = connection.cursor(row_factory=args_row(CandleChange))
        connection.execute(_KEEP_ALIVE)

    def try_lock(self, name: str) -> bool:
        """Take the lock ``name`` until the connection ends; return False if another connection holds it."""
        row = self._connection.execute(_LOCK, [name]).fetchone()
        return row is not None and bool(row[0])

    def listen(self) -> None:
        """Subscribe to the notifications of changed candles."""
        self._connection.execute(f"listen {CHANNEL}".encode())

    def wait(self, seconds: float) -> set[str]:
        """Return the symbols of the notifications that are there, or of the first that arrives within ``seconds``."""
        return {notification.payload for notification in self._connection.notifies(timeout=seconds, stop_after=1)}

    def newest_revisions(self) -> dict[str, int]:
        """Return the newest revision of each symbol with candles."""
        cursor = self._connection.cursor(row_factory=args_row(NewestRevision))
        return dict(cursor.execute(NEWEST_REVISIONS).fetchall())

    def changes(self, after: Mapping[str, int], limit: int) -> list[CandleChange]:
        """Return the candles changed after the given revision of each symbol, at most ``limit`` of each, in order."""
        parameters = {"symbols": list(after), "revisions": list(after.values()), "limit": limit}
        return self._changes.execute(CHANGES, parameters).fetchall()

    def stored(self, candles: Iterable[tuple[str, int]]) -> dict[str, dict[int, Published]]:
        """Return the revisions of those of ``candles`` (symbol, open time) that are stored, by symbol and open time."""
        columns = [list(column) for column in zip(*candles, strict=True)] or [[], []]
        found: dict[str, dict[int, Published]] = defaultdict(dict)
        for symbol, open_time, revision, updated_at in self._connection.execute(_STORED, columns):
            found[symbol][open_time] = Published(revision=revision, updated_at=time_text(updated_at))
        return found

    def missing(self, symbol: str, open_times: Sequence[int]) -> list[int]:
        """Return those of ``open_times`` (microseconds) for which the symbol has no candle."""
        stored = self.stored((symbol, open_time) for open_time in open_times)[symbol]
        return [open_time for open_time in open_times if open_time not in stored]
