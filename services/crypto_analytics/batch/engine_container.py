"""Run a step in its existing container by the Docker engine's API: start it, follow its log, wait for its end, stop it.

Airflow uses it in Compose, where a proxy of the engine's socket allows these four requests and no others. The standard
library and httpx suffice, because Airflow's image has no other packages of the services.
"""

import json
import time
from collections.abc import Iterator, Sequence

import httpx

_SECONDS = 30.0  # for an answer; a followed log and the wait for the end have no limit of their own
_STOP_SECONDS = 15  # from the stop signal to SIGKILL: the step's runner stops its child within eight
_FRAME_HEADER = 8  # bytes before each part of a log: stream, three zeros, length
_KILLED = 137


class EngineError(Exception):
    """The engine or its proxy did not do what was requested; the text has the cause and the next command."""


class EngineContainer:
    """A step's container, by the URL of its part of the engine's API: ``http://…/containers/<name>``."""

    def __init__(self, url: str) -> None:
        self.name = url.rstrip("/").rpartition("/")[2]
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False)

    def start(self) -> bool:
        """Start the container; return False if it runs already.

        Raises:
            EngineError: it does not exist, cannot start, or the engine does not answer.
        """
        return self._request("POST", "/start").status_code != httpx.codes.NOT_MODIFIED

    def follow(self, since: float) -> Iterator[str]:
        """Yield the lines that the container writes from the Unix time ``since`` until its end.

        Raises:
            EngineError: the engine does not answer, or the connection was lost.
        """
        query: dict[str, str | int] = {"follow": 1, "stdout": 1, "stderr": 1, "since": f"{since:.9f}"}
        try:
            with self._http.stream("GET", "/logs", params=query, timeout=httpx.Timeout(_SECONDS, read=None)) as answer:
                answer.raise_for_status()
                yield from lines(answer.iter_bytes())
        except httpx.HTTPError as error:
            raise self._error(error) from error

    def wait(self) -> int:
        """Wait until the container does not run; return its exit code.

        Raises:
            EngineError: the engine does not answer, or the connection was lost.
        """
        answer = self._request("POST", "/wait", timeout=httpx.Timeout(_SECONDS, read=None))
        return int(json.loads(answer.content)["StatusCode"])

    def stop(self) -> None:
        """Stop the container: its stop signal first, and SIGKILL if it still runs after 15 seconds.

        Raises:
            EngineError: the engine does not answer.
        """
        self._request("POST", f"/stop?t={_STOP_SECONDS}", timeout=_STOP_SECONDS + _SECONDS)

    def _request(self, method: str, path: str, timeout: float | httpx.Timeout = _SECONDS) -> httpx.Response:
        try:
            answer = self._http.request(method, path, timeout=timeout)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                answer.raise_for_status()
        except httpx.HTTPError as error:
            raise self._error(error) from error
        return answer

    def _error(self, error: httpx.HTTPError) -> EngineError:
        if not isinstance(error, httpx.HTTPStatusError):
            return EngineError(f"the engine's proxy does not answer: {error}; next: docker logs its container")
        match error.response.status_code:
            case httpx.codes.NOT_FOUND:
                return EngineError(f"container {self.name} does not exist; next: make compose-up AIRFLOW=1")
            case httpx.codes.FORBIDDEN:
                return EngineError(
                    f"the engine's proxy refuses {self.name}: it is not a step's container; next: docs/compose.md"
                )
            case status:
                return EngineError(
                    f"container {self.name}: the engine answers HTTP {status}; next: docker logs {self.name}"
                )


def now() -> float:
    """Return the Unix time from which :meth:`EngineContainer.follow` shows what is written from now on."""
    return time.time()


def lines(parts: Iterator[bytes]) -> Iterator[str]:
    """Yield the lines of a log in the engine's format: frames with a header, of two streams, cut at any byte."""
    held = b""
    begun: dict[int, bytes] = {}
    for part in parts:
        held += part
        while len(held) >= _FRAME_HEADER:
            end = _FRAME_HEADER + int.from_bytes(held[4:_FRAME_HEADER])
            if len(held) < end:
                break
            stream, content, held = held[0], held[_FRAME_HEADER:end], held[end:]
            *whole, begun[stream] = (begun.get(stream, b"") + content).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
    yield from (rest.decode(errors="replace") for rest in begun.values() if rest)


def failure_reason(step: str, exit_code: int, last_lines: Sequence[str]) -> str:
    """Return why the container of ``step`` ended with ``exit_code``: in the words of its runner, if it reported."""
    begin = f"batch: {step}: "
    reported = next((line.removeprefix(begin) for line in reversed(last_lines) if line.startswith(begin)), "")
    if reported:
        return reported.removeprefix("failed: ")
    if exit_code == _KILLED:
        return "it was killed (exit code 137): by `docker kill`, or because it needed more memory than its limit"
    return f"it ended with exit code {exit_code}"
