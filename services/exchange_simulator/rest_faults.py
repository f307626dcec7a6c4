"""The REST faults that are armed."""

from exchange_simulator.faults import RestFault


class RestFaults:
    """Faults in the order of their arming, each with the requests it is still good for."""

    def __init__(self) -> None:
        self._armed: list[tuple[RestFault, int]] = []

    def arm(self, fault: RestFault) -> None:
        """Let ``fault`` hit the next requests that it is for."""
        self._armed.append((fault, fault.count))

    def take(self, path: str) -> RestFault | None:
        """Return the fault that hits a request of ``path``, using it up by one, or None."""
        for index, (fault, left) in enumerate(self._armed):
            if path.startswith(fault.path):
                self._armed[index : index + 1] = [(fault, left - 1)] if left > 1 else []
                return fault
        return None
