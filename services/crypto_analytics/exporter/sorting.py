"""Sort the trades of many overlapping chunks by id, in bounded memory. Pure.

Trades are the columns of a matrix of 64-bit integers; ``FIRST_ID`` to ``IS_MAKER`` are the indexes of its rows.

Memory is bounded by reading the chunks again, not by temporary files: a step can write only to a small /tmp, which is
memory in some runtimes. Each pass over the chunks buffers the trades with the lowest ids. If the buffer is full while
chunks with lower ids may still follow, its higher half is dropped, and the next pass begins at that id. The live stream
archives its trades nearly in order, so one pass is usual.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np

from crypto_analytics.core.trades import Integers

FIRST_ID, LAST_ID, PRICE, QUANTITY, TIME, IS_MAKER = range(6)


class TradeChunk(NamedTuple):
    """Trades in any order; none of them, and none of a later chunk, has a first id below ``lowest_id``."""

    lowest_id: int
    trades: Integers


ReadFrom = Callable[[int], Generator[TradeChunk, None, None]]


class OutOfOrder(ValueError):
    """A chunk has a trade below its ``lowest_id``."""


def sorted_by_id(read_from: ReadFrom, limit: int) -> Iterator[Integers]:
    """Yield all trades in the order of their ids; about ``limit`` trades and one chunk are in memory at a time.

    ``read_from(first_id)`` yields every chunk with a trade of ``first_id`` or higher, in the order of the chunks'
    lowest ids; each further pass calls it again.

    Raises:
        OutOfOrder: a chunk has a trade below its ``lowest_id``.
    """
    start: int | None = 0
    while start is not None:
        start = yield from _read_once(read_from, start, limit)


def _read_once(read_from: ReadFrom, start: int, limit: int) -> Generator[Integers, None, int | None]:
    """Yield the trades from ``start`` on; return the id at which the next pass begins, None if none is needed."""
    waiting: list[Integers] = []
    count = 0
    stop: int | None = None
    with closing(read_from(start)) as chunks:
        for chunk in chunks:
            if stop is not None and chunk.lowest_id >= stop:
                break
            if count >= limit:
                ordered = _ordered(waiting)
                ready = _position(ordered, chunk.lowest_id)
                if ready:
                    yield ordered[:, :ready]
                ordered = ordered[:, ready:]
                if ordered.shape[1] > limit // 2:
                    # Keep at least one id, however many trades have it, so that each pass advances.
                    stop = max(int(ordered[FIRST_ID, limit // 2]), int(ordered[FIRST_ID, 0]) + 1)
                    ordered = ordered[:, : _position(ordered, stop)]
                waiting, count = [ordered.copy()], ordered.shape[1]  # a view would keep the whole array
            trades = _between(chunk, start, stop)
            waiting.append(trades)
            count += trades.shape[1]
    if count:
        yield _ordered(waiting)
    return stop


def _between(chunk: TradeChunk, start: int, stop: int | None) -> Integers:
    ids = chunk.trades[FIRST_ID]
    if ids.size and ids.min() < chunk.lowest_id:
        raise OutOfOrder(f"id {ids.min()} is in an object that is listed from id {chunk.lowest_id} on")
    chosen = ids >= start
    if stop is not None:
        chosen &= ids < stop
    return chunk.trades if chosen.all() else chunk.trades[:, chosen]


def _ordered(chunks: list[Integers]) -> Integers:
    trades = np.concatenate(chunks, axis=1)
    steps = np.diff(trades[FIRST_ID])
    if (steps > 0).all():
        return trades
    order = np.argsort(trades[FIRST_ID], kind="stable")
    if (np.diff(trades[FIRST_ID, order]) == 0).any():
        order = np.lexsort(trades[::-1])  # the other fields order trades with the same id
    return trades[:, order]


def _position(ordered: Integers, first_id: int) -> int:
    """Return the position of the first trade with ``first_id`` or a higher one."""
    return int(np.searchsorted(ordered[FIRST_ID], first_id))
