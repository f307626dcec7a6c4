"""The children of a run on disk, so that the next run can stop those that a killed run left behind.

Processes that a child started itself, in whatever session, carry the child's mark in their environment.
"""

import json
from dataclasses import asdict
from pathlib import Path

import psutil

from ops.common.processes import ProcessRecord, matching, stop

MARK = "EMBEDDED_CHILD"  # as in earlier versions, so that `make stop` also finds what a killed run of one left
_GRACE_SECONDS = 10.0


class ChildRecords:
    """The records of one state folder, one file for each child."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._folder = state / "run" / "children"

    def add(self, name: str, pid: int) -> ProcessRecord:
        """Record a child that was just started."""
        record = ProcessRecord.of(name, pid)
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        unfinished.write_text(json.dumps(asdict(record)))
        unfinished.replace(self._path(name))
        return record

    def remove(self, name: str) -> None:
        """Remove the record of a child that has ended."""
        self._path(name).unlink(missing_ok=True)

    def read(self) -> list[ProcessRecord]:
        """Return all records, also those of children that have ended."""
        return [ProcessRecord(**json.loads(path.read_text())) for path in sorted(self._folder.glob("*.json"))]

    def members(self, record: ProcessRecord) -> list[psutil.Process]:
        """Return the living processes of a child: itself, and those that carry its mark."""
        leader = record.process()
        carriers = matching(lambda process: process.pid != record.pid and self._carries_mark(process, record.name))
        return [leader, *carriers] if leader else carriers

    def stop_leftovers(self) -> list[str]:
        """Stop every process that an earlier run left behind; return the names of the children."""
        names = []
        for record in self.read():
            processes = self.members(record)
            if processes:
                names.append(record.name)
                stop(*processes, grace_seconds=_GRACE_SECONDS)
            self.remove(record.name)
        return names

    def mark(self, name: str) -> str:
        """Return the value of MARK in a child's environment, which every process that it starts inherits."""
        return f"{self._state}:{name}"

    def _carries_mark(self, process: psutil.Process, name: str) -> bool:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark(name)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"
