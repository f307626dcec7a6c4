"""Which processes a run started, on disk: so that the next run can stop what a killed one left behind.

A record holds process id and creation time; an id alone may belong to somebody else by now. What a child started
itself, in whatever session, is known by the child's mark in its environment.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_SAME_SECONDS = 2.0  # creation times are told relative to boot, whose time moves a little when the clock is set
MARK = "EMBEDDED_CHILD"


@dataclass(frozen=True)
class Record:
    """A child: its name, its process id, and its creation time in seconds since the epoch."""

    name: str
    pid: int
    created: float

    def leader(self) -> psutil.Process | None:
        """Return the very process that was recorded, if it lives."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_SECONDS
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def members(self, state: Path) -> list[psutil.Process]:
        """Return the living processes of the child: itself, and those that carry its mark."""
        leader = self.leader()
        found = [leader] if leader else []
        for process in psutil.process_iter():
            try:
                if process.pid != self.pid and _carries(process, mark(state, self.name)):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # gone meanwhile, or another user's: not ours
        return found


def mark(state: Path, name: str) -> str:
    """Return what a child has in its environment, and hands on to whatever it starts."""
    return f"{state}:{name}"


def _carries(process: psutil.Process, text: str) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == text


class Records:
    """The records of one state folder, one file a child."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._folder = state / "run" / "children"

    def add(self, name: str, pid: int) -> Record:
        """Record a child that was just started."""
        record = Record(name, pid, psutil.Process(pid).create_time())
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        unfinished.write_text(json.dumps(asdict(record)))
        unfinished.replace(self._path(name))
        return record

    def remove(self, name: str) -> None:
        """Forget a child that has ended."""
        self._path(name).unlink(missing_ok=True)

    def read(self) -> list[Record]:
        """Return all records, those of dead children too."""
        return [Record(**json.loads(path.read_text())) for path in sorted(self._folder.glob("*.json"))]

    def stop_leftovers(self, grace_seconds: float = 10.0) -> list[str]:
        """Stop every process that an earlier run left behind and return the children's names."""
        names = []
        for record in self.read():
            processes = record.members(self._state)
            if processes:
                names.append(record.name)
                end(processes, grace_seconds)
            self.remove(record.name)
        return names

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Terminate ``processes``, kill those that are still there after the grace, and wait until all are gone."""
    waiting = list(processes)
    for process in waiting:
        _signal(process, psutil.Process.terminate)
    _, stubborn = psutil.wait_procs(waiting, timeout=grace_seconds)
    for process in stubborn:
        _signal(process, psutil.Process.kill)
    psutil.wait_procs(stubborn, timeout=grace_seconds)


def _signal(process: psutil.Process, send: object) -> None:
    assert callable(send)
    try:
        send(process)
    except psutil.NoSuchProcess:
        return
