"""Graceful shutdown: SIGTERM and SIGINT set an event, which the service checks. Further signals are ignored."""

import signal
import threading
from types import FrameType


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set. Call it in the main thread."""
    stop = threading.Event()

    def handle(signum: int, frame: FrameType | None) -> None:
        # A second signal during Event.set would deadlock on the lock that this thread holds.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
