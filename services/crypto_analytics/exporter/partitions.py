"""Plan which partitions of a table to write, and encode the manifest of those written. Pure.

A partition is one object, so that replacing it is one atomic put. Its *fingerprint* is its number of rows and the time
of the newest change among them: an insert or update changes the time, a delete changes the number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self

import msgspec

IN_PATH = "symbol"  # not a column of the files: pandas rejects a data set that has a column in both
MANIFEST = "_manifest.json"  # readers of Parquet data sets skip names that begin with an underscore
FILE = "part.parquet"


class Fingerprint(NamedTuple):
    """The state of a partition: its number of rows, and the time of the newest change among them."""

    rows: int
    newest_change: datetime


class _ManifestFile(msgspec.Struct):
    layout: str = ""  # the schema; the key is part of the stored format
    partitions: dict[str, Fingerprint] = {}


@dataclass
class Manifest:
    """The written partitions of a table, and the Parquet ``schema`` that they were written with."""

    schema: str
    partitions: dict[str, Fingerprint] = field(default_factory=dict)

    @classmethod
    def decode(cls, data: bytes, schema: str) -> Self:
        """Return the manifest in ``data``; an empty one if it has another schema, so that all is written again."""
        written = msgspec.json.decode(data, type=_ManifestFile)
        return cls(schema, written.partitions if written.layout == schema else {})

    def encode(self) -> bytes:
        """Return the manifest as JSON."""
        return msgspec.json.encode(_ManifestFile(self.schema, dict(sorted(self.partitions.items()))))


class Plan(NamedTuple):
    """The partitions to write and those to remove, each sorted by name."""

    write: list[str]
    remove: list[str]


def plan(wanted: Mapping[str, Fingerprint], manifest: Manifest, present: Iterable[str]) -> Plan:
    """Return the plan that turns the partitions ``present`` in the store into those that are ``wanted``."""
    stored = set(present)
    return Plan(
        write=sorted(
            partition
            for partition, fingerprint in wanted.items()
            if partition not in stored or manifest.partitions.get(partition) != fingerprint
        ),
        remove=sorted(stored - set(wanted)),
    )


def key_of(table: str, partition: str) -> str:
    """Return the key of a partition's object."""
    return f"{table}/{partition}/{FILE}"


def partition_of(table: str, key: str) -> str | None:
    """Return the partition of the object ``key``; None if it is no partition's object."""
    if not (key.startswith(f"{table}/") and key.endswith(f"/{FILE}")):
        return None
    return key[len(table) + 1 : -len(FILE) - 1]
