"""Memory and disk of the container that a service runs in. Every value is in bytes, and NaN where it is unknown."""

import shutil
from math import nan
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # cgroup v1 writes a number above it, v2 the word "max"


def memory_limit(cgroup: Path = _CGROUP) -> float:
    """Return the memory limit of the container; NaN without one."""
    limit = _number(cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes")
    return limit if limit < _UNLIMITED else nan


def memory_working_set(cgroup: Path = _CGROUP) -> float:
    """Return the memory that the kernel cannot reclaim without swapping: what the limit is compared with."""
    used = _number(cgroup / "memory.current", cgroup / "memory" / "memory.usage_in_bytes")
    return used - _inactive_files(cgroup)


def disk_size() -> float:
    """Return the size of the file system that holds the container's files."""
    return float(shutil.disk_usage("/").total)


def disk_free() -> float:
    """Return the free space of the file system that holds the container's files."""
    return float(shutil.disk_usage("/").free)


def _number(*files: Path) -> float:
    """Return the number in the first of ``files`` that exists; NaN if there is none, or if it is no number."""
    text = next((file.read_text().strip() for file in files if file.is_file()), "")
    return float(text) if text.isdecimal() else nan


def _inactive_files(cgroup: Path) -> float:
    for file, name in (
        (cgroup / "memory.stat", "inactive_file"),
        (cgroup / "memory" / "memory.stat", "total_inactive_file"),
    ):
        if file.is_file():
            return float(dict(line.split() for line in file.read_text().splitlines())[name])
    return nan
