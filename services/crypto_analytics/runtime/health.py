"""Serve /metrics (Prometheus), /healthz (liveness) and /readyz (readiness) on one port.

A service is alive if it made progress recently, and ready if it is alive and can do its work.
"""

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Health:
    """Liveness and readiness of a service. Its main loop calls :meth:`beat` in each iteration, also when idle."""

    def __init__(self, stale_after_seconds: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        self._stale_after = stale_after_seconds
        self._now = now
        self._last = now()
        self.ready = False

    def beat(self) -> None:
        """Record progress."""
        self._last = self._now()

    def age(self) -> float:
        """Return the seconds since the last progress."""
        return self._now() - self._last

    def is_alive(self) -> bool:
        """Return whether the last progress is recent enough."""
        return self.age() <= self._stale_after


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection, so that an idle connection does not block probes."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = 5

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Do not log requests."""


def serve(host: str, port: int, health: Health) -> int:
    """Serve /metrics, /healthz and /readyz in a daemon thread; return the port, which matters if ``port`` is 0.

    Raises:
        OSError: the port is in use.
    """
    metrics = make_wsgi_app()

    def app(environ: dict[str, object], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)  # type: ignore[no-any-return]
        if path not in ("/healthz", "/readyz"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /metrics, /healthz or /readyz\n"]
        is_ok = health.is_alive() and (path == "/healthz" or health.ready)
        start_response("200 OK" if is_ok else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [f"{'ok' if is_ok else 'not ok'}: last progress {health.age():.1f} s ago\n".encode()]

    server = make_server(host, port, app, server_class=_Server, handler_class=_QuietHandler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server.server_port
