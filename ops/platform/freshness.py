"""Freshness and completeness of the candles, queried from PostgreSQL as ``reader``."""

from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from ops.common.loopback import LOOPBACK
from ops.common.units import duration
from ops.platform.endpoints import READER
from ops.platform.health import DATABASE, TIMEOUT

_QUERY = """
with open_gaps as (
    select missing_count
    from trade_id_gaps
    where symbol not in (select symbol from symbols where status = 'retired')  -- its trades are no longer fetched
)
select (select max(newest) from freshness where hop = 'fact_realtime_trades_1m'),
       (select max(newest_change) from freshness where hop = 'fact_realtime_trades_1m'),
       (select count(*) from fact_realtime_trades_1m),
       (select count(*) from open_gaps),
       (select coalesce(sum(missing_count), 0) from open_gaps)
"""


@dataclass(frozen=True)
class Freshness:
    """The newest candle's minute, the newest change of a candle, and counts of candles, gaps and missing trades."""

    newest: datetime | None
    changed: datetime | None
    candles: int
    gaps: int
    missing: int

    def summary(self, now: datetime) -> str:
        """Return the freshness in one line."""
        if self.newest is None or self.changed is None:
            return "no candle yet"
        age = duration(max(0.0, (now - self.changed).total_seconds()))
        gaps = f"{self.gaps} gaps, {self.missing:,} trades missing" if self.gaps else "no gap"
        return f"newest candle {self.newest:%Y-%m-%d %H:%M}, changed {age} ago; {self.candles:,} candles, {gaps}"


def read(port: int, password: str) -> Freshness:
    """Query the database on this machine.

    Raises:
        psycopg.Error: the server does not answer, refuses the login, or has not been migrated.
    """
    with psycopg.connect(
        host=LOOPBACK, port=port, dbname=DATABASE, user=READER, password=password, connect_timeout=int(TIMEOUT)
    ) as connection:
        row = connection.execute(_QUERY).fetchone()
    assert row is not None
    return Freshness(row[0], row[1], int(row[2]), int(row[3]), int(row[4]))


def describe(port: int, password: str) -> str:
    """Return the freshness in one line, or the reason why it is unknown."""
    try:
        return read(port, password).summary(datetime.now(UTC))
    except psycopg.Error as error:
        return f"freshness unknown: {str(error).strip().splitlines()[0]}"
