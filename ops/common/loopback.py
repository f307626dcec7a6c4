"""TCP ports of the loopback address, and HTTP requests to it that never go through a proxy."""

import socket
import urllib.request
from http.client import HTTPResponse

LOOPBACK = "127.0.0.1"
_LARGEST_PORT = 65535
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Return a port on which no program listens now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether a server could listen on ``port`` now; with SO_REUSEADDR, so that TIME_WAIT does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def preferred_port(port: int) -> int:
    """Return ``port`` if a server could listen on it now, else a port on which no program listens."""
    return port if is_free(port) else free_port()


def another_port(port: int) -> int:
    """Return the port to suggest where ``port`` is taken."""
    return port + 10000 if port + 10000 <= _LARGEST_PORT else port - 10000


def free_or_move(setting: str, port: int, command: str, holders: str = "") -> str:
    """Return the commands to type where ``port`` is taken: find the program that listens there, or change ``setting``.

    ``holders`` adds a likely holder and the command that stops it.
    """
    find = "; ".join(part for part in (f"ss -ltnp 'sport = :{port}'", holders) if part)
    return f"stop the program that listens on it ({find}), or: {command} {setting}={another_port(port)}"


def accepts(port: int) -> bool:
    """Return whether a program accepts connections on ``port``."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def get(url: str, timeout: float) -> HTTPResponse:
    """Return the response to a GET of ``url``.

    Raises:
        OSError: there is no response, or its status is an error (urllib.error.HTTPError).
    """
    answer: HTTPResponse = _OPENER.open(url, timeout=timeout)
    return answer
