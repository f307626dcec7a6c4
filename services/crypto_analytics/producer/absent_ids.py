"""Which trade ids the exchange never issued, as its own pages show. Pure.

A page is in ascending order and leaves nothing out, so two ids that follow each other on ONE page have no trade
between them. Nothing else is evidence: not where a page begins (a host may have dropped what is older), not where it
ends (newer trades may not be there yet), and not two aggregates whose ids do not follow each other (void aggregates, or
a page's limit, may lie between).

REST lags behind the stream at times, so one page is not enough: ids are verified absent when a second page shows the
same at least ``CONFIRM_SECONDS`` after the first.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crypto_analytics.binance.rest import AggTrade
from crypto_analytics.core.id_ranges import IdRange, IdRanges
from crypto_analytics.producer.trade_ids import intersection

CONFIRM_SECONDS = 10.0


class AbsenceEvidence(NamedTuple):
    """A page showed that ``ids`` are absent; ``method`` is the endpoint, ``answer`` what the page said."""

    ids: IdRange
    method: str
    answer: str


def absent_between_trades(method: str, from_id: int | None, ids: Sequence[int]) -> list[AbsenceEvidence]:
    """Return what a page of individual trades with ``ids`` shows; ``from_id`` is None where none was asked for."""
    if any(left >= right for left, right in pairwise(ids)):
        return []  # not in ascending order: no page of which anything is known
    asked = f"{method} fromId={from_id}" if from_id is not None else method
    shown = []
    for left, right in pairwise(ids):
        if right > left + 1:
            text = f"{asked}: {right} follows {left} on one page"
            shown.append(AbsenceEvidence(IdRange(left + 1, right - 1), method, text))
    return shown


def absent_between_aggregates(from_id: int | None, rows: Sequence[AggTrade]) -> list[AbsenceEvidence]:
    """Return what a page of aggregates, void ones taken out, shows: only neighbours by aggregate id say anything."""
    if any(left.a >= right.a or left.l >= right.f for left, right in pairwise(rows)):
        return []
    asked = f"aggTrades fromId={from_id}" if from_id is not None else "aggTrades"
    return [
        AbsenceEvidence(
            IdRange(left.l + 1, right.f - 1),
            "aggTrades",
            f"{asked}: aggregate {right.a} begins with {right.f}, {left.a} before it ends with {left.l}, on one page",
        )
        for left, right in pairwise(rows)
        if right.a == left.a + 1 and right.f > left.l + 1
    ]


class AbsenceTracker:
    """When the ids of one symbol were first shown to be absent."""

    def __init__(self, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        self._confirm_seconds = confirm_seconds
        self._first_shown: list[tuple[IdRange, float]] = []

    def show(self, ids: IdRange, now: float) -> list[IdRange]:
        """Note that a page shows ``ids`` to be absent at ``now`` (seconds); return those thereby verified absent."""
        verified = []
        new = IdRanges([ids])
        for seen, since in self._first_shown:
            part = IdRange(max(seen.first, ids.first), min(seen.last, ids.last))
            if part.first <= part.last:
                new.remove(*part)
                if now - since >= self._confirm_seconds:
                    verified.append(part)
        self._first_shown += [(part, now) for part in new]
        return verified

    def keep(self, missing: IdRanges) -> None:
        """Forget what was shown of ids that are not ``missing`` any more: they came, or they are accounted for."""
        self._first_shown = [
            (left, since)
            for part, since in self._first_shown
            for left in ([part] if missing.covers(*part) else intersection(IdRanges([part]), missing))
        ]
