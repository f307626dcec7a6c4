"""Records of missing ids: which were refused, which are verified absent, and why the others stay open. Pure.

It is shared by the stream's listener, the repairs and the gap check, and is handed to the database by the latter.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from crypto_analytics.binance.wire import MAX_AGGREGATED, MAX_TRADE_ID
from crypto_analytics.core.id_ranges import IdRange, IdRanges

REFUSED = "refused: "  # how the reason of a gap whose trades are no good begins

# A trade that is no good stays so, until this software or the exchange changes; a time that seems to lie in the future
# may be one of our own clock.
REFUSED_RETRY_SECONDS = 6 * 3600.0
BAD_TIME_RETRY_SECONDS = 900.0

_MOST_REASONS = 2_000  # kept while the database is away; the oldest are dropped, since the next try gives another


class VerifiedAbsence(NamedTuple):
    """``ids`` of ``symbol`` are verified absent; ``method`` and ``answer`` say how."""

    symbol: str
    ids: IdRange
    method: str
    answer: str


class GapReason(NamedTuple):
    """Why ``ids`` of ``symbol`` stay missing."""

    symbol: str
    ids: IdRange
    text: str


class GapReasons:
    """Keeps account of all symbols."""

    def __init__(self, *, for_database: bool = True) -> None:
        """Without ``for_database``, nothing is kept to be recorded."""
        self._for_database = for_database
        self._lettered: defaultdict[str, IdRanges] = defaultdict(IdRanges)
        self._held: defaultdict[str, list[tuple[IdRange, float]]] = defaultdict(list)
        self._absent: defaultdict[str, IdRanges] = defaultdict(IdRanges)
        self._absences: list[VerifiedAbsence] = []
        self._reasons: dict[tuple[str, IdRange], str] = {}

    def mark_dead_lettered(self, symbol: str, ids: IdRange) -> bool:
        """Whether a value with ``ids`` is to be dead-lettered: True the first time only."""
        if self._lettered[symbol].covers(*ids):
            return False
        self._lettered[symbol].add(*ids)
        return True

    def refuse(self, symbol: str, ids: IdRange, until: float) -> None:
        """Note that the trades of ``ids`` are no good, and are not to be fetched again before ``until`` (seconds)."""
        self._lettered[symbol].add(*ids)
        self._held[symbol].append((ids, until))

    def refused(self, symbol: str, now: float) -> IdRanges:
        """Return the ids of ``symbol`` that are not to be fetched at ``now`` (seconds)."""
        self._held[symbol] = [(ids, until) for ids, until in self._held[symbol] if until > now]
        return IdRanges(ids for ids, _ in self._held[symbol])

    def verify_absent(self, absence: VerifiedAbsence) -> None:
        """Note that ids are verified absent; kept until :meth:`recorded` says that the database has it."""
        self._absent[absence.symbol].add(*absence.ids)
        if self._for_database:
            self._absences.append(absence)

    def absent(self, symbol: str) -> IdRanges:
        """Return the ids of ``symbol`` that were verified absent since the start."""
        return self._absent[symbol]

    def explain(self, symbol: str, ids: IdRange, text: str) -> None:
        """Note why ``ids`` stay missing, in place of an earlier reason for the same ids."""
        if not self._for_database:
            return
        self._reasons.pop((symbol, ids), None)
        self._reasons[symbol, ids] = text
        if len(self._reasons) > _MOST_REASONS:
            del self._reasons[next(iter(self._reasons))]

    def absences(self) -> list[VerifiedAbsence]:
        """Return what the database is still to be told as verified absent."""
        return list(self._absences)

    def reasons(self) -> list[GapReason]:
        """Return the reasons that the database is still to be told."""
        return [GapReason(symbol, ids, text) for (symbol, ids), text in self._reasons.items()]

    def recorded(self, absences: Sequence[VerifiedAbsence], reasons: Sequence[GapReason]) -> None:
        """Forget what the database has been told."""
        told = set(absences)
        self._absences = [absence for absence in self._absences if absence not in told]
        for symbol, ids, text in reasons:
            if self._reasons.get((symbol, ids)) == text:
                del self._reasons[symbol, ids]


def refused_text(reason: str) -> str:
    """Return the reason of a gap whose trades were refused for ``reason``, such as ``bad_quantity``."""
    return f"{REFUSED}{reason}; the value is in the dead-letter topic"


def retry_seconds(reason: str) -> float:
    """Return for how long a trade refused for ``reason`` is not fetched again."""
    return BAD_TIME_RETRY_SECONDS if reason.startswith("bad_time") else REFUSED_RETRY_SECONDS


class _Ids(msgspec.Struct, gc=False):
    s: str = ""
    t: int | None = None
    f: int | None = None
    l: int | None = None  # noqa: E741  # the exchange's name


class _Envelope(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw(b"")


def readable_ids(value: bytes) -> tuple[str, IdRange] | None:
    """Return the symbol and the ids that a refused trade object, or a stream's frame around it, names; None if none."""
    try:
        inner = bytes(msgspec.json.decode(value, type=_Envelope).data) or value
        named = msgspec.json.decode(inner, type=_Ids)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    first, last = (named.f, named.l) if named.t is None else (named.t, named.t)
    if not named.s or first is None or last is None or not 0 <= first <= last <= MAX_TRADE_ID:
        return None
    if last - first >= MAX_AGGREGATED:
        return None
    return named.s, IdRange(first, last)
