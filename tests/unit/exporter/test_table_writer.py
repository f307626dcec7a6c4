"""Write changed partitions, and continue after an error or a stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event

import pytest

from crypto_analytics.exporter.partitions import MANIFEST, Fingerprint
from crypto_analytics.exporter.table_writer import ExportCounts, ExportStopped, PartitionContent, TableWriter
from tests.stores import MemoryStore

T0 = datetime(2026, 1, 5, tzinfo=UTC)
ONE, TWO = Fingerprint(1, T0), Fingerprint(2, T0)


class Table:
    """A table of partitions in memory that records each read."""

    def __init__(self, **partitions: Fingerprint) -> None:
        self.partitions = partitions
        self.reads: list[str] = []

    @contextmanager
    def read(self, partition: str) -> Iterator[PartitionContent | None]:
        self.reads.append(partition)
        fingerprint = self.partitions.get(partition)
        yield (
            None if fingerprint is None else PartitionContent([f"{partition} {fingerprint.rows}".encode()], fingerprint)
        )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def update(store: MemoryStore, table: Table, layout: str = "layout", **options: bool) -> ExportCounts:
    return TableWriter(store, "silver", "t", layout).update(table.partitions, table.read, Event(), **options)


def objects(store: MemoryStore) -> dict[str, bytes]:
    return {info.key: store.get("silver", info.key) for info in store.list("silver") if MANIFEST not in info.key}


def test_a_second_run_reads_and_writes_nothing(store: MemoryStore) -> None:
    table = Table(a=ONE, b=ONE)
    assert update(store, table) == (2, 2, 0)
    written = {info.key: info.modified for info in store.list("silver")}
    assert update(store, table) == (2, 0, 0)
    assert table.reads == ["a", "b"]
    assert {info.key: info.modified for info in store.list("silver")} == written


def test_a_change_rewrites_its_partition_alone_and_a_removed_one_goes(store: MemoryStore) -> None:
    update(store, Table(a=ONE, b=ONE, c=ONE))
    changed = Table(a=ONE, b=TWO)
    assert update(store, changed) == (2, 1, 1)
    assert changed.reads == ["b"]
    assert objects(store) == {"t/a/part.parquet": b"a 1", "t/b/part.parquet": b"b 2"}


def test_without_pruning_unwanted_partitions_are_kept(store: MemoryStore) -> None:
    update(store, Table(a=ONE, b=ONE))
    assert update(store, Table(a=ONE), prune=False) == (1, 0, 0)
    assert set(objects(store)) == {"t/a/part.parquet", "t/b/part.parquet"}


def test_other_columns_rewrite_everything(store: MemoryStore) -> None:
    table = Table(a=ONE, b=ONE)
    update(store, table)
    assert update(store, table, layout="another") == (2, 2, 0)


def test_partitions_written_before_an_error_are_in_the_manifest(store: MemoryStore) -> None:
    table = Table(a=ONE, b=ONE)

    @contextmanager
    def fail_at_b(partition: str) -> Iterator[PartitionContent | None]:
        if partition == "b":
            raise ConnectionError("away")
        with table.read(partition) as content:
            yield content

    with pytest.raises(ConnectionError):
        TableWriter(store, "silver", "t", "layout").update(table.partitions, fail_at_b, Event())
    assert update(store, table) == (2, 1, 0)
    assert table.reads == ["a", "b"]


def test_it_ends_between_partitions_once_it_is_asked_to(store: MemoryStore) -> None:
    table, stop = Table(a=ONE, b=ONE), Event()

    @contextmanager
    def read_and_stop(partition: str) -> Iterator[PartitionContent | None]:
        stop.set()
        with table.read(partition) as content:
            yield content

    assert TableWriter(store, "silver", "t", "layout").update(table.partitions, read_and_stop, stop) == (2, 1, 0)
    assert set(objects(store)) == {"t/a/part.parquet"}


def test_the_manifest_has_the_fingerprint_of_the_rows_read_not_the_planned_one(store: MemoryStore) -> None:
    table = Table(a=TWO)  # the partition changes between plan and read
    TableWriter(store, "silver", "t", "layout").update({"a": ONE}, table.read, Event())
    assert update(store, table) == (1, 0, 0)


def test_a_partition_that_became_empty_is_not_written(store: MemoryStore) -> None:
    table = Table()
    assert TableWriter(store, "silver", "t", "layout").update({"a": ONE}, table.read, Event()) == (1, 0, 0)
    assert not list(store.list("silver"))


def test_a_stop_within_a_partition_leaves_it_unchanged_and_keeps_those_already_written(
    store: MemoryStore,
) -> None:
    update(store, Table(a=ONE, b=ONE))

    def parts() -> Iterator[bytes]:
        yield b"half"
        raise ExportStopped

    @contextmanager
    def read(partition: str) -> Iterator[PartitionContent | None]:
        yield PartitionContent([b"a 2"] if partition == "a" else parts(), TWO)

    wanted = {"a": TWO, "b": TWO}
    assert TableWriter(store, "silver", "t", "layout").update(wanted, read, Event()) == (2, 1, 0)
    assert objects(store) == {"t/a/part.parquet": b"a 2", "t/b/part.parquet": b"b 1"}
    later = Table(a=TWO, b=TWO)
    update(store, later)
    assert later.reads == ["b"]


def test_a_run_that_is_killed_gets_further_than_the_one_before(store: MemoryStore) -> None:
    class Killed(BaseException):
        pass

    class KilledStore(MemoryStore):
        """A store whose puts fail from the third partition on, as after a kill of the process."""

        def put(self, bucket: str, key: str, data: bytes) -> None:
            if len(table.reads) > 2:
                raise Killed
            store.put(bucket, key, data)

    table = Table(a=ONE, b=ONE, c=ONE)
    seconds = iter(range(0, 1000, 6))
    with pytest.raises(Killed):
        TableWriter(KilledStore(), "silver", "t", "layout", clock=lambda: next(seconds)).update(
            table.partitions, table.read, Event()
        )
    later = Table(a=ONE, b=ONE, c=ONE)
    update(store, later)
    assert later.reads[0] != "a"
