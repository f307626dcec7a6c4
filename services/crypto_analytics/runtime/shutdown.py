"""Graceful shutdown: SIGTERM and SIGINT set an event, which the service checks. Further signals are ignored."""

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn


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


def end_process(code: int) -> NoReturn:
    """End the process with exit code ``code``, without the exit handlers of the C libraries.

    Services with Kafka clients end this way. The threads of a client that is still open run until the process is
    gone, and OpenSSL's exit handler frees tables that they use to log in: 6 of 200 consumers whose login was refused
    crashed. The interpreter would also wait for a thread in a call that cannot be interrupted, such as one to an
    unreachable store. Output that cannot be written, because a stream is closed or its reader is gone, is lost.
    """
    try:
        for flush in (logging.shutdown, sys.stdout.flush, sys.stderr.flush):
            with suppress(OSError, ValueError):
                flush()
    finally:
        os._exit(code)
