"""Run by test_lake_memory: compact an hour of the given number of trades and print the largest growth in MB."""

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
    """Archive the trades in objects of consecutive ids and a few that span the whole hour, and compact them."""
    store = DirectoryStore(folder)
    hour = Hour(store)
    wide = 10 * count // OBJECT_TRADES  # one trade in this many is in a wide object, too many to buffer all
    groups = [[one for one in range(1, count + 1) if one % wide == number] for number in range(wide // 5)]
    left = [one for one in range(1, count + 1) if one % wide >= wide // 5]
    groups += [left[start : start + OBJECT_TRADES] for start in range(0, len(left), OBJECT_TRADES)]
    for ids in groups:
        hour.add([VALUE % one for one in ids], ids[0], ids[-1])
    for _ in hour.parts(BATCH_TRADES):  # libraries loaded at the first use
        break
    before = peak()
    store.put_chunks("bronze", "part.parquet", hour.parts(BATCH_TRADES))
    print(json.dumps({"before": before, "after": peak(), "reads": hour.reads}))


def peak() -> float:
    """Return the peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
