"""Run by test_lake_memory: compact an hour of so many trades, and print by how many MB the process grew at most."""

import json
import resource
import sys
from pathlib import Path

from crypto_analytics.store.objects import DirectoryStore
from tests.unit.exporter.hours import Hour

OBJECT_TRADES = 2_000
BATCH_TRADES = 20_000
VALUE = (
    b'{"e":"trade","E":1767571200123,"s":"BTCUSDT","t":%d,"p":"1.00000000","q":"1.00000000","T":1767571200123,'
    b'"m":true,"M":true}'
)


def main(folder: Path, count: int) -> None:
    """Archive the trades in objects of neighbours and a few that reach over the whole hour, and compact them."""
    store = DirectoryStore(folder)
    hour = Hour(store)
    wide = 10 * count // OBJECT_TRADES  # one trade in so many is in a wide object: too many to wait for their turn
    groups = [[one for one in range(1, count + 1) if one % wide == number] for number in range(wide // 5)]
    left = [one for one in range(1, count + 1) if one % wide >= wide // 5]
    groups += [left[start : start + OBJECT_TRADES] for start in range(0, len(left), OBJECT_TRADES)]
    for ids in groups:
        hour.add([VALUE % one for one in ids], ids[0], ids[-1])
    for _ in hour.parts(BATCH_TRADES):  # what is loaded on first use
        break
    before = peak()
    store.put_chunks("bronze", "part.parquet", hour.parts(BATCH_TRADES))
    print(json.dumps({"before": before, "after": peak(), "reads": hour.reads}))


def peak() -> float:
    """Return the largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
