"""End an installation as soon as it cannot succeed, instead of at the timeout of helm or kubectl.

Only the operators' resources end it (see :mod:`ops.kubernetes.custom_resources`). helm itself ends where a Job has
failed for good. A pod never ends it: the image may still be pushed, the Secret be created, the node be added; its
reason is displayed.
"""

import time
from collections.abc import Callable, Mapping

from ops.common.errors import Problem
from ops.common.settings import NAMESPACE
from ops.kubernetes.custom_resources import CustomResource
from ops.kubernetes.helm import Revision
from ops.kubernetes.release_progress import ClusterSnapshot
from ops.platform import make_command

_SECONDS = 10.0  # an operator needs a moment to see that helm has changed a resource


class EarlyEnd:
    """Watches the resources of the releases that are deployed after ``before``, the revisions at the start."""

    def __init__(
        self, before: Mapping[str, Revision], context: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._before = before
        self._context = context
        self._clock = clock
        self._since: dict[CustomResource, float] = {}

    def check(self, observed: ClusterSnapshot | None) -> None:
        """Check one snapshot; call it regularly.

        Raises:
            Problem: a resource has been reporting for ten seconds that it cannot become ready.
        """
        if observed is None:
            return
        now = self._clock()
        final = [one for one in observed.resources if one.is_final and self._is_deployed(observed, one.release)]
        self._since = {one: self._since.get(one, now) for one in final}
        for one, since in self._since.items():
            if now - since >= _SECONDS:
                described = f"kubectl --context {self._context} --namespace {NAMESPACE} describe {one.kind}/{one.name}"
                fix = f"{described}; change its values, then {make_command.make_up()} again"
                raise Problem(f"{one.kind} {one.name} cannot become ready", one.reason, fix)

    def _is_deployed(self, observed: ClusterSnapshot, release: str) -> bool:
        """Return whether helm has installed or upgraded the release since the start: before, its state is old."""
        revision = observed.releases.get(release)
        return revision is not None and revision.status == "deployed" and revision != self._before.get(release)
