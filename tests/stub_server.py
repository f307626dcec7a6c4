"""Serve a stub of an HTTP interface while a test runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from threading import Thread
from typing import TypeVar

Stub = TypeVar("Stub", bound=HTTPServer)


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """Serve ``stub`` in a thread; stop and close it at the end."""
    with stub:
        thread = Thread(target=stub.serve_forever)
        thread.start()
        try:
            yield stub
        finally:
            stub.shutdown()
            thread.join()
