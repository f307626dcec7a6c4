"""The loopback address of this machine: its TCP ports, and HTTP requests to it that no proxy sees."""

import socket
import urllib.request
from http.client import HTTPResponse

LOOPBACK = "127.0.0.1"
_LARGEST_PORT = 65535
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now (as servers do: connections in TIME_WAIT do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def another_port(port: int) -> int:
    """Return the port to suggest where ``port`` is taken; never above 65535, the largest one."""
    return port + 10000 if port + 10000 <= _LARGEST_PORT else port - 10000


def free_or_move(setting: str, port: int, command: str, holders: str = "") -> str:
    """Return what to type where ``port`` is taken: find the program that listens there, or move ours by ``setting``.

    ``holders`` adds a likely holder and the command that stops it.
    """
    find = "; ".join(part for part in (f"ss -ltnp 'sport = :{port}'", holders) if part)
    return f"stop the program that has it ({find}), or: {command} {setting}={another_port(port)}"


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on ``port``."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def get(url: str, timeout: float) -> HTTPResponse:
    """Return the answer of ``url``.

    Raises:
        OSError: it does not answer, or with an error (urllib.error.HTTPError).
    """
    answer: HTTPResponse = _OPENER.open(url, timeout=timeout)
    return answer
