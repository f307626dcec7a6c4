"""Read the gaps in the merged trades from PostgreSQL, and record there why ids are missing."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import psycopg

from crypto_analytics.core.id_ranges import IdRange
from crypto_analytics.producer.gap_reasons import REFUSED, GapReason, VerifiedAbsence
from crypto_analytics.runtime.settings import PostgresSettings
from crypto_analytics.store.postgres import connect

GAPS_PER_CHECK = 200

# A round robin over the symbols. Within a symbol: first the gaps never tried, the newest of them first, then those not
# tried for longest.
_GAPS = """
select symbol, first_missing_id, last_missing_id, reason
from (
    select
        symbol, first_missing_id, last_missing_id, reason,
        row_number() over (
            partition by symbol order by tried_at nulls first, last_missing_id desc
        ) as turn
    from trade_id_gaps
    where symbol = any(%s)
) as gaps
order by turn, symbol
limit %s
"""

_REFUSED = """
select symbol, first_id, last_id, reason, extract(epoch from now() - tried_at)::float8
from open_gap_reasons
where symbol = any(%s) and starts_with(reason, %s)
"""


class MergedGap(NamedTuple):
    """A gap between merged ids; ``reason`` is the recorded one, None if there is none."""

    symbol: str
    ids: IdRange
    reason: str | None = None


class RefusedGap(NamedTuple):
    """A gap whose trades were refused for ``reason``, ``age`` seconds ago."""

    symbol: str
    ids: IdRange
    reason: str
    age: float


class GapStore(Protocol):
    """The gaps in the merged trades, and their reasons."""

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return some of the gaps of ``symbols``, the same number of each symbol as far as it has so many."""
        ...

    def read_refused(self, symbols: Sequence[str]) -> list[RefusedGap]:
        """Return the gaps whose trades earlier runs refused."""
        ...

    def record(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Record verified absences and the reasons of open gaps."""
        ...


class PostgresGaps:
    """The views and functions in PostgreSQL, with a connection per call: one call a minute is no load.

    Every method raises psycopg.Error if the server is unreachable, refuses the login, or lacks a view or function.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings

    def read(self, symbols: Sequence[str]) -> list[MergedGap]:
        """Return at most 200 gaps, or two per symbol if that is more: as many of each symbol, untried ones first."""
        with self._connect() as connection:
            most = max(GAPS_PER_CHECK, 2 * len(symbols))
            rows = connection.execute(_GAPS, (list(symbols), most)).fetchall()
        return [MergedGap(symbol, IdRange(first, last), reason) for symbol, first, last, reason in rows]

    def read_refused(self, symbols: Sequence[str]) -> list[RefusedGap]:
        """Return the gaps whose trades earlier runs refused."""
        with self._connect() as connection:
            rows = connection.execute(_REFUSED, (list(symbols), REFUSED)).fetchall()
        return [RefusedGap(symbol, IdRange(first, last), reason, age) for symbol, first, last, reason, age in rows]

    def record(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Record verified absences and the reasons of open gaps, in one transaction."""
        with self._connect() as connection:
            connection.execute("set statement_timeout = '20s'")  # a merge of the same symbol may hold its lock
            for symbol, ids, method, answer in absences:
                connection.execute("select record_absent_ids(%s, %s, %s, %s, %s)", (symbol, *ids, method, answer))
            for symbol, ids, text in reasons:
                connection.execute("select record_gap_reason(%s, %s, %s, %s)", (symbol, *ids, text))

    def _connect(self) -> psycopg.Connection:
        connection = connect(self._settings, "producer")
        connection.execute("set statement_timeout = '5s'")  # the gap check is optional and must not load the server
        return connection
