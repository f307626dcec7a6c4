"""An hour's trades are yielded in sorted order, however its objects overlap."""

import json
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crypto_analytics.exporter.sorting import FIRST_ID, OutOfOrder, TradeChunk, sorted_by_id
from crypto_analytics.exporter.trades import SCHEMA
from crypto_analytics.store.objects import ObjectNotFound
from tests.unit.exporter.hours import Hour

HOUR = 1_767_571_200_000


def value_of(generator: random.Random, first_id: int) -> dict[str, Any]:
    """Return a trade; one in ten is an aggregated one."""
    event = {
        "e": "trade", "E": HOUR, "s": "BTCUSDT", "t": first_id, "p": f"{generator.randint(1, 10**9)}.00000001",
        "q": f"0.{generator.randint(1, 10**8 - 1):08}", "T": HOUR + generator.randint(0, 3_599_999),
        "m": generator.random() < 0.5, "M": True,
    }  # fmt: skip
    if generator.random() < 0.1:
        kept = {key: value for key, value in event.items() if key not in "etM"}
        event = {"e": "aggTrade", "a": first_id, "f": first_id, "l": first_id + 2, **kept}
    return event


def oracle(events: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """Return the expected rows of the file, parsed and sorted in plain Python."""
    rows = [
        (
            one.get("t", one.get("f")), one.get("t", one.get("l")),
            Decimal(one["p"]), Decimal(one["q"]), one["m"], one["T"],
        )
        for one in events
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row[0], row[1], row[2], row[3], row[5], row[4]))


def rows_of(data: bytes) -> list[tuple[object, ...]]:
    table = pq.read_table(pa.BufferReader(data))
    assert table.schema.equals(SCHEMA)
    times = [int(time.timestamp() * 1000 + 0.5) for time in table["trade_time"].to_pylist()]
    return list(zip(*(table[name].to_pylist() for name in SCHEMA.names[:-1]), times, strict=True))


def lie_anyhow(generator: random.Random, ids: list[int]) -> list[list[int]]:
    """Return each object's ids: a random mixture of consecutive ids, late repairs, wide objects and single trades."""
    objects: list[list[int]] = []
    left = list(ids)
    wide, scattered = generator.random() * 0.5, generator.random()
    while left:
        size = generator.choice((1, 1, 7, 40, 300, 1_500))
        if generator.random() < wide:
            positions = sorted(generator.sample(range(len(left)), min(size, len(left))), reverse=True)
            taken = [left.pop(position) for position in positions]
        else:
            start = generator.randrange(len(left)) if generator.random() < scattered else 0
            taken, left[start : start + size] = left[start : start + size], []
        generator.shuffle(taken)
        objects.append(taken)
    generator.shuffle(objects)
    return objects


@pytest.mark.parametrize("seed", range(30))
def test_an_hour_is_what_sorting_all_of_it_would_be(seed: int) -> None:
    generator = random.Random(seed)
    ids = sorted(generator.sample(range(0 if seed % 2 else 10**9, 2 * 10**9, 3), generator.choice((1, 50, 4_000))))
    events = {one: value_of(generator, one + 1) for one in ids}
    hour = Hour()
    for members in lie_anyhow(generator, ids):
        values = [json.dumps(events[one], separators=(",", ":")).encode() for one in members]
        hour.add(values, min(members) + 1, max(members) + 3)
    limit = generator.choice((1, 10, 300, 100_000))
    assert rows_of(b"".join(hour.parts(limit))) == oracle(list(events.values()))


def test_trades_of_one_id_are_ordered_by_their_other_fields_and_end_no_matter_how_many() -> None:
    generator = random.Random(1)
    events = [value_of(generator, 5) for _ in range(500)]
    hour = Hour()
    for event in events:
        hour.add([json.dumps(event).encode()], 5, 7)
    assert rows_of(b"".join(hour.parts(10))) == oracle(events)


@pytest.mark.parametrize("overlap", [False, True])
def test_at_most_the_limit_of_trades_is_in_memory_however_the_objects_overlap(overlap: bool) -> None:
    limit, size, count = 1_000, 50, 200

    def read_from(first_id: int) -> Any:
        for number in range(count):
            ids = np.arange(number, size * count, count) if overlap else np.arange(number * size, number * size + size)
            if ids[-1] >= first_id:
                yield TradeChunk(int(ids[0]), np.tile(ids, (6, 1)))

    found = list(sorted_by_id(read_from, limit))
    assert max(trades.shape[1] for trades in found) <= limit + size
    assert np.concatenate(found, axis=1)[FIRST_ID].tolist() == list(range(size * count))


def test_an_object_below_its_listed_ids_fails_the_hour() -> None:
    hour = Hour()
    hour.add([json.dumps(value_of(random.Random(2), 5)).encode()], 6, 9)
    with pytest.raises(OutOfOrder, match="id 5 is in an object that is listed from id 6 on"):
        list(hour.parts(1_000))


def test_an_object_that_is_not_there_or_holds_too_few_fails_the_hour() -> None:
    hour = Hour()
    hour.add([json.dumps(value_of(random.Random(3), 5)).encode()], 5, 7)
    hour.count += 1
    with pytest.raises(ValueError, match="lists 2 trades of the hour, and its objects hold 1"):
        list(hour.parts(1_000))
    hour.archive.store.delete("raw", "0.jsonl.gz")
    with pytest.raises(ObjectNotFound):
        list(hour.parts(1_000))
