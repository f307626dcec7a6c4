"""Which partitions of a table have to be written anew, and the manifest that remembers what is written. Pure.

A partition is one object, so that replacing it is one atomic put. Its *fingerprint* is its number of rows and the
newest change among them: an insert or an update moves the newest change, and a delete alone moves the number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

import msgspec

IN_PATH = "symbol"  # and so in no file: pandas takes no data set that has a column in both
MANIFEST = "_manifest.json"  # readers of Parquet data sets pass over names that begin with an underscore
FILE = "part.parquet"


class Fingerprint(NamedTuple):
    """What tells one state of a partition from another."""

    rows: int
    newest_change: datetime


class _ManifestFile(msgspec.Struct):
    layout: str = ""
    partitions: dict[str, Fingerprint] = {}


@dataclass
class Manifest:
    """The partitions of a table that are written, and the column ``layout`` they were written with."""

    layout: str
    partitions: dict[str, Fingerprint] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes, layout: str) -> Self:
        """Return the manifest in ``data``; an empty one where it tells of another layout: all is to be written."""
        written = msgspec.json.decode(data, type=_ManifestFile)
        return cls(layout, written.partitions if written.layout == layout else {})

    def encode(self) -> bytes:
        """Return the manifest as JSON."""
        return msgspec.json.encode(_ManifestFile(self.layout, dict(sorted(self.partitions.items()))))


class Plan(NamedTuple):
    """Partitions to write, and partitions to remove, in order."""

    write: list[str]
    remove: list[str]


def plan(wanted: Mapping[str, Fingerprint], manifest: Manifest, present: Iterable[str]) -> Plan:
    """Return what makes the partitions ``present`` in the store those that are ``wanted``."""
    there = set(present)
    return Plan(
        write=sorted(
            partition
            for partition, fingerprint in wanted.items()
            if partition not in there or manifest.partitions.get(partition) != fingerprint
        ),
        remove=sorted(there - set(wanted)),
    )


def key_of(table: str, partition: str) -> str:
    """Return the key of a partition's object."""
    return f"{table}/{partition}/{FILE}"


def partition_of(table: str, key: str) -> str | None:
    """Return the partition whose object ``key`` is, None for any other object."""
    if not (key.startswith(f"{table}/") and key.endswith(f"/{FILE}")):
        return None
    return key[len(table) + 1 : -len(FILE) - 1]
