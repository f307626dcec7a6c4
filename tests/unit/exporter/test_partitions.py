"""Plan which partitions of the lake are written and deleted, and encode their manifest."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crypto_analytics.exporter.partitions import Fingerprint, Manifest, key_of, partition_of, plan

T0 = datetime(2026, 1, 5, tzinfo=UTC)
OLD, NEW = Fingerprint(1440, T0), Fingerprint(1440, T0 + timedelta(microseconds=1))

names = st.sampled_from([f"symbol=S/date=2026-01-0{day}" for day in range(1, 6)])
fingerprints = st.sampled_from([OLD, NEW, Fingerprint(1439, T0)])


def test_only_changed_partitions_are_written_and_only_obsolete_ones_removed() -> None:
    wanted = {"same": OLD, "changed": NEW, "fewer rows": Fingerprint(1439, T0), "new": OLD, "lost": OLD}
    manifest = Manifest("layout", dict.fromkeys(("same", "changed", "fewer rows", "lost", "gone"), OLD))
    todo = plan(wanted, manifest, present=["same", "changed", "fewer rows", "gone", "never known"])
    assert todo.write == ["changed", "fewer rows", "lost", "new"]
    assert todo.remove == ["gone", "never known"]


@given(
    wanted=st.dictionaries(names, fingerprints),
    remembered=st.dictionaries(names, fingerprints),
    present=st.sets(names),
)
def test_carrying_a_plan_out_leaves_nothing_to_do(
    wanted: dict[str, Fingerprint], remembered: dict[str, Fingerprint], present: set[str]
) -> None:
    manifest = Manifest("layout", dict(remembered))
    todo = plan(wanted, manifest, present)
    for partition in todo.remove:
        manifest.partitions.pop(partition, None)
    manifest.partitions.update({partition: wanted[partition] for partition in todo.write})
    left = (present - set(todo.remove)) | set(todo.write)
    assert left == set(wanted)
    assert plan(wanted, manifest, left) == ([], [])


def test_a_manifest_survives_its_journey_but_not_a_change_of_columns() -> None:
    manifest = Manifest("a: int64", {"symbol=S/date=2026-01-05": NEW})
    assert Manifest.decode(manifest.encode(), "a: int64") == manifest
    assert Manifest.decode(manifest.encode(), "a: int64\nb: string").partitions == {}


def test_keys_and_partitions_belong_together() -> None:
    key = key_of("klines_1m", "symbol=S/date=2026-01-05")
    assert key == "klines_1m/symbol=S/date=2026-01-05/part.parquet"
    assert partition_of("klines_1m", key) == "symbol=S/date=2026-01-05"
    assert partition_of("klines_1m", "klines_1m/_manifest.json") is None
    assert partition_of("klines", key) is None
