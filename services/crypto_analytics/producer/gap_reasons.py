"""Keep track of why trade ids are missing: refused, verified absent, or open with a reason. Pure.

The stream's listener, the repairs and the gap check share one :class:`GapReasons`, which the gap check writes to
PostgreSQL.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from crypto_analytics.core.id_ranges import IdRange, IdRanges

REFUSED = "refused: "  # prefix of the reason of a gap whose trades did not pass validation

# A trade that fails validation keeps failing until this software or the exchange changes. Only a time that lies in the
# future may be an error of this machine's clock.
REFUSED_RETRY_SECONDS = 6 * 3600.0
BAD_TIME_RETRY_SECONDS = 900.0

_MOST_REASONS = (
    2_000  # kept while the database is unreachable; the oldest are dropped, since the next try gives a new one
)


class VerifiedAbsence(NamedTuple):
    """``ids`` of ``symbol`` are verified absent, by the ``answer`` of the REST endpoint ``method``."""

    symbol: str
    ids: IdRange
    method: str
    answer: str


class GapReason(NamedTuple):
    """The reason ``text`` why ``ids`` of ``symbol`` are missing."""

    symbol: str
    ids: IdRange
    text: str


class GapReasons:
    """The refused, absent and open ids of all symbols since the start."""

    def __init__(self, *, for_database: bool = True) -> None:
        """Buffer nothing for the database unless ``for_database`` is set."""
        self._for_database = for_database
        self._dead_lettered: defaultdict[str, IdRanges] = defaultdict(IdRanges)
        self._refused: defaultdict[str, list[tuple[IdRange, float]]] = defaultdict(list)
        self._absent: defaultdict[str, IdRanges] = defaultdict(IdRanges)
        self._absences: list[VerifiedAbsence] = []
        self._reasons: dict[tuple[str, IdRange], str] = {}

    def mark_dead_lettered(self, symbol: str, ids: IdRange) -> bool:
        """Mark ``ids`` as dead-lettered; return False if all of them were marked before."""
        if self._dead_lettered[symbol].covers(*ids):
            return False
        self._dead_lettered[symbol].add(*ids)
        return True

    def refuse(self, symbol: str, ids: IdRange, until: float) -> None:
        """Note that the trades ``ids`` failed validation; they are not fetched again before ``until`` (seconds)."""
        self._dead_lettered[symbol].add(*ids)
        self._refused[symbol].append((ids, until))

    def refused(self, symbol: str, now: float) -> IdRanges:
        """Return the refused ids of ``symbol`` that are not to be fetched at ``now`` (seconds)."""
        self._refused[symbol] = [(ids, until) for ids, until in self._refused[symbol] if until > now]
        return IdRanges(ids for ids, _ in self._refused[symbol])

    def verify_absent(self, absence: VerifiedAbsence) -> None:
        """Note that ids are verified absent; buffered until :meth:`mark_recorded`."""
        self._absent[absence.symbol].add(*absence.ids)
        if self._for_database:
            self._absences.append(absence)

    def absent(self, symbol: str) -> IdRanges:
        """Return the ids of ``symbol`` that were verified absent since the start."""
        return self._absent[symbol]

    def explain(self, symbol: str, ids: IdRange, text: str) -> None:
        """Note why ``ids`` are missing, in place of an earlier reason for the same ids."""
        if not self._for_database:
            return
        self._reasons.pop((symbol, ids), None)
        self._reasons[symbol, ids] = text
        if len(self._reasons) > _MOST_REASONS:
            del self._reasons[next(iter(self._reasons))]

    def unrecorded_absences(self) -> list[VerifiedAbsence]:
        """Return the verified absences that are not in the database yet."""
        return list(self._absences)

    def unrecorded_reasons(self) -> list[GapReason]:
        """Return the reasons that are not in the database yet."""
        return [GapReason(symbol, ids, text) for (symbol, ids), text in self._reasons.items()]

    def mark_recorded(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Drop the entries that are in the database now from the buffer; a reason that has changed meanwhile stays."""
        recorded = set(absences)
        self._absences = [absence for absence in self._absences if absence not in recorded]
        for symbol, ids, text in reasons:
            if self._reasons.get((symbol, ids)) == text:
                del self._reasons[symbol, ids]


def refused_text(reason: str) -> str:
    """Return the reason of a gap whose trades were refused for ``reason``, such as ``bad_quantity``."""
    return f"{REFUSED}{reason}; the value is in the dead-letter topic"


def retry_seconds(reason: str) -> float:
    """Return for how many seconds a trade refused for ``reason`` is not fetched again."""
    return BAD_TIME_RETRY_SECONDS if reason.startswith("bad_time") else REFUSED_RETRY_SECONDS
