"""Read the raw archive back: each listed object exists, and the objects hold each trade exactly once."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from crypto_analytics.binance.trade_decoder import Rules, decode_batch
from crypto_analytics.store.archive import RawArchive
from crypto_analytics.store.objects import ObjectNotFound
from ops.common.errors import Problem

_ANY_TIME = 2**63


@dataclass(frozen=True)
class ArchiveCounts:
    """Objects and values (lines) read, the trade ids that they cover, and the ids among these that are repeated."""

    objects: int
    values: int
    trade_ids: int
    repeated_ids: int


def read_back(connection: psycopg.Connection, archive: RawArchive) -> ArchiveCounts:
    """Read every listed object.

    Raises:
        Problem: one is missing, or holds other values than listed.
    """
    try:
        return _read_all(connection, archive)
    except (ObjectNotFound, ValueError) as error:
        fix = "keep this folder and report it as a bug"
        raise Problem("the raw archive differs from raw_objects", str(error), fix) from error


def _read_all(connection: psycopg.Connection, archive: RawArchive) -> ArchiveCounts:
    """Read every listed object.

    Raises:
        ObjectNotFound: a listed object is missing.
        ValueError: an object holds another number of values than listed, or a value that is no trade.
    """
    ids: dict[str, list[tuple[int, int]]] = {}
    objects = values = 0
    for key, symbol, count in connection.execute("select object_key, symbol, value_count from raw_objects"):
        lines = archive.read(key)
        if len(lines) != count:
            raise ValueError(f"{key} holds {len(lines)} values, {count} are listed")
        decoded = decode_batch(lines, Rules(frozenset([symbol]), _ANY_TIME))
        if decoded.bad:
            raise ValueError(f"{key} holds a value that is no trade of {symbol}: {decoded.bad[0][1]}")
        for trades in decoded.by_symbol().values():
            ids.setdefault(symbol, []).extend(zip(trades.first_ids.tolist(), trades.last_ids.tolist(), strict=True))
        objects += 1
        values += len(lines)
    total = sum(last - first + 1 for pairs in ids.values() for first, last in pairs)
    return ArchiveCounts(objects, values, total, sum(repeated(pairs) for pairs in ids.values()))


def repeated(pairs: Iterable[tuple[int, int]]) -> int:
    """Return the number of ids of the closed ranges ``pairs`` that an earlier range holds already."""
    count, reached = 0, 0
    for first, last in sorted(pairs):
        count += max(0, min(last, reached) - first + 1)
        reached = max(reached, last)
    return count
