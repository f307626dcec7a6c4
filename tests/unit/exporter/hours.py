"""Raw objects of an hour for tests: archived like the consumer, and read like the exporter."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from crypto_analytics.core.bytes_column import BytesColumn
from crypto_analytics.exporter.raw_hour_reader import READERS, ListedObject, RawHourReader
from crypto_analytics.exporter.trades import encode_hour
from crypto_analytics.store.archive import RawArchive, encode
from crypto_analytics.store.objects import ObjectStore
from tests.stores import MemoryStore


class Hour:
    """The raw objects of an hour, and their list as in the database."""

    def __init__(self, store: ObjectStore | None = None, symbol: str = "BTCUSDT") -> None:
        self.archive = RawArchive(store or MemoryStore(), "raw")
        self.symbol = symbol
        self.count = 0
        self.reads = 0
        self._listed: list[tuple[int, int, ListedObject]] = []

    def add(self, values: Sequence[bytes], first_id: int, last_id: int) -> None:
        """Archive ``values`` with the given smallest and largest ids as one object."""
        key, data = f"{len(self._listed)}.jsonl.gz", encode(BytesColumn.of(values))
        self.archive.store.put("raw", key, data)
        self._listed.append((first_id, last_id, ListedObject(key, first_id, len(data))))
        self.count += len(values)

    def listed(self, first_id: int) -> Iterator[ListedObject]:
        """Yield the listed objects in the order of the database."""
        for _, last_id, listed in sorted(self._listed):
            if last_id >= first_id:
                self.reads += 1
                yield listed

    def parts(self, batch_trades: int) -> Iterator[bytes]:
        """Yield the parts of the hour's Parquet file."""
        with ThreadPoolExecutor(READERS) as pool:
            raw = RawHourReader(self.archive, self.symbol, self.listed, pool, Event())
            yield from encode_hour(raw, self.count, batch_trades)


def file_of(symbol: str, values: Sequence[bytes]) -> bytes:
    """Return the Parquet file of an hour with one object of ``values``."""
    hour = Hour(symbol=symbol)
    hour.add(values, 0, 2**53)
    return b"".join(hour.parts(1_000))
