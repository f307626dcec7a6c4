"""Readiness of the streaming query: it has proven that it can merge, and no batch takes too long. Without Spark."""

import time
from collections.abc import Callable, Mapping
from typing import Any

_SLOW_SECONDS = 30.0
_TRIGGER_COMPLETED = "Waiting for next trigger"  # Spark's status between two triggers, never before the first one


class QueryReadiness:
    """Readiness of a query, from Spark's reports on it.

    A query is ready once an executor has run a task and the first trigger has completed: it merged a micro-batch, or
    found that nothing waits to be merged. Then it is unready while a batch takes longer than half a minute: it has a
    backlog or an unreachable store, and is ready again when the batch is done.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._is_started = False
        self._idle_at = now()
        self._reported_at: str | None = None

    def update(self, status: Mapping[str, Any], reported_at: str | None, *, has_executor: bool) -> bool:
        """Return whether the query is ready; call it regularly.

        Args:
            status: the query's ``status``.
            reported_at: the timestamp of the query's report on its last micro-batch; None before the first one.
            has_executor: whether an executor has run a task.
        """
        if reported_at != self._reported_at or not status["isTriggerActive"]:
            self._reported_at = reported_at
            self._idle_at = self._now()
        if has_executor and (reported_at is not None or status["message"] == _TRIGGER_COMPLETED):
            self._is_started = True
        return self._is_started and self._now() - self._idle_at < _SLOW_SECONDS
