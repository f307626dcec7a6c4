"""Find the trade ids that the exchange never issued, from the pages of its REST API. Pure.

A page is in ascending order and leaves no trade out, so two ids that follow each other on ONE page have no trade
between them. Nothing else is evidence: not the start of a page (a host may have dropped older trades), not its end
(newer trades may not be there yet), and not two aggregates whose aggregate ids do not follow each other (void
aggregates, or the page's limit, may lie between them).

REST sometimes lags behind the stream, so one page is not enough: ids are verified absent when a second page shows the
same at least ``CONFIRM_SECONDS`` after the first.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from crypto_analytics.binance.rest import AggTrade
from crypto_analytics.core.id_ranges import IdRange, IdRanges

CONFIRM_SECONDS = 10.0


class AbsenceEvidence(NamedTuple):
    """One page that shows ``ids`` to be absent.

    Attributes:
        ids: the absent ids.
        method: the REST endpoint.
        answer: the request and the neighbours of ``ids`` on the page, for the table ``verified_absent_ids``.
    """

    ids: IdRange
    method: str
    answer: str


def absent_between_trades(method: str, from_id: int | None, ids: Sequence[int]) -> list[AbsenceEvidence]:
    """Return the ids that a page of individual trades shows to be absent.

    Args:
        method: the REST endpoint.
        from_id: the request's ``fromId``; None if it had none.
        ids: the trade ids of the page, as received.
    """
    if any(left >= right for left, right in pairwise(ids)):
        return []  # not in ascending order: such a page proves nothing
    request = f"{method} fromId={from_id}" if from_id is not None else method
    evidence = []
    for left, right in pairwise(ids):
        if right > left + 1:
            text = f"{request}: {right} follows {left} on one page"
            evidence.append(AbsenceEvidence(IdRange(left + 1, right - 1), method, text))
    return evidence


def absent_between_aggregates(from_id: int | None, rows: Sequence[AggTrade]) -> list[AbsenceEvidence]:
    """Return the ids that a page of aggregates shows to be absent: those between neighbours by aggregate id.

    Args:
        from_id: the request's ``fromId``; None if it had none.
        rows: the aggregates of the page, without void ones.
    """
    if any(left.a >= right.a or left.l >= right.f for left, right in pairwise(rows)):
        return []
    request = f"aggTrades fromId={from_id}" if from_id is not None else "aggTrades"
    return [
        AbsenceEvidence(
            IdRange(left.l + 1, right.f - 1),
            "aggTrades",
            f"{request}: aggregate {right.a} begins with {right.f}, {left.a} before it ends with {left.l}, on one page",
        )
        for left, right in pairwise(rows)
        if right.a == left.a + 1 and right.f > left.l + 1
    ]


class AbsenceTracker:
    """Remembers when the ids of one symbol were first shown to be absent, and verifies them at the second time."""

    def __init__(self, confirm_seconds: float = CONFIRM_SECONDS) -> None:
        """Require ``confirm_seconds`` between the two pages."""
        self._confirm_seconds = confirm_seconds
        self._first_shown: list[tuple[IdRange, float]] = []

    def add(self, ids: IdRange, now: float) -> list[IdRange]:
        """Note that a page shows ``ids`` to be absent at ``now`` (seconds); return the ids that this verifies."""
        verified = []
        new = IdRanges([ids])
        for shown, since in self._first_shown:
            part = IdRange(max(shown.first, ids.first), min(shown.last, ids.last))
            if part.first <= part.last:
                new.remove(*part)
                if now - since >= self._confirm_seconds:
                    verified.append(part)
        self._first_shown += [(part, now) for part in new]
        return verified

    def retain(self, missing: IdRanges) -> None:
        """Forget all ids that are not ``missing`` any more: they were sent, or are verified absent."""
        self._first_shown = [
            (left, since)
            for part, since in self._first_shown
            for left in ([part] if missing.covers(*part) else IdRanges([part]).intersection(missing))
        ]
