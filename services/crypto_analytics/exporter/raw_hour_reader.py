"""Read the raw objects of one symbol and hour as chunks of columns, with only a few objects in memory at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future
from threading import Event
from typing import NamedTuple

import numpy as np

from crypto_analytics.binance.trade_decoder import AT_ONCE, Rules, decode_batch
from crypto_analytics.core.trades import Integers
from crypto_analytics.exporter.sorting import TradeChunk
from crypto_analytics.exporter.table_writer import ExportStopped
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.archived_values import values_in

READERS = 8  # objects fetched concurrently
_FETCHED_BYTES = 16 * 2**20  # of gzipped objects that wait to be decoded; one larger object is fetched alone
_ANY_TIME = 2**62  # the archive holds values that were validated before


class ListedObject(NamedTuple):
    """A row of the table ``raw_objects``."""

    key: str
    first_id: int
    byte_count: int


class RawHourReader:
    """Reads the archived trades of ``symbol`` in one hour.

    ``listed(first_id)`` yields the objects with ``first_id`` or a higher id, in the order of their first ids.
    """

    def __init__(
        self,
        archive: RawArchive,
        symbol: str,
        listed: Callable[[int], Iterable[ListedObject]],
        pool: Executor,
        stop: Event,
    ) -> None:
        self._archive = archive
        self._rules = Rules(frozenset({symbol}), _ANY_TIME)
        self._listed = listed
        self._pool = pool
        self._stop = stop

    def chunks(self, first_id: int) -> Generator[TradeChunk, None, None]:
        """Yield the trades of the objects with ``first_id`` or a higher id.

        Many small objects make one chunk, and a large one makes several.

        Raises:
            ValueError: an archived value is no valid trade of the symbol.
            ObjectNotFound: a listed object does not exist.
            ExportStopped: the stop event was set.
        """
        values: list[bytes] = []
        lowest_id = 0
        for listed, data in self._fetched(self._listed(first_id)):
            for part in values_in(data):
                if self._stop.is_set():
                    raise ExportStopped
                if not values:
                    lowest_id = listed.first_id
                values += part
                if len(values) >= AT_ONCE:
                    yield TradeChunk(lowest_id, self._decoded(values))
                    values = []
        if values:
            yield TradeChunk(lowest_id, self._decoded(values))

    def _fetched(self, objects: Iterable[ListedObject]) -> Iterator[tuple[ListedObject, bytes]]:
        fetching: deque[tuple[ListedObject, Future[bytes]]] = deque()
        held = 0
        try:
            for listed in objects:
                while fetching and (len(fetching) >= READERS or held + listed.byte_count > _FETCHED_BYTES):
                    earlier, future = fetching.popleft()
                    held -= earlier.byte_count
                    yield earlier, future.result()
                fetching.append((listed, self._pool.submit(self._get, listed.key)))
                held += listed.byte_count
            while fetching:
                earlier, future = fetching.popleft()
                yield earlier, future.result()
        finally:
            for _, future in fetching:
                future.cancel()

    def _get(self, key: str) -> bytes:
        return self._archive.store.get(self._archive.bucket, key)

    def _decoded(self, values: list[bytes]) -> Integers:
        decoded = decode_batch(values, self._rules)
        if decoded.bad:
            raise ValueError(
                f"{len(decoded.bad)} archived values of {', '.join(self._rules.symbols)} are no trades: "
                f"{decoded.bad[0][1]}"
            )
        trades = decoded.trades
        columns = (trades.first_ids, trades.last_ids, trades.prices, trades.quantities, trades.times)
        return np.stack((*columns, trades.buyer_is_maker))
