"""Merge a batch of trades into PostgreSQL exactly once: a replay of the batch changes nothing.

1. The trades of the batch that are not merged yet are written to the raw archive, without a lock and outside any
   transaction, so that a slow object store blocks no other merge.
2. A transaction locks the batch's symbols and reads the merged ids again. If the archived objects still contain exactly
   the trades to add, it merges the partial candles, extends the id ranges and lists the objects. If another transaction
   merged some of the ids meanwhile, the remaining trades are archived again and step 2 is repeated.
3. The caller commits the Kafka offsets.

After a crash at any point the same batch can be merged again: its ids are either in the id ranges by then, or not.
A batch of very many objects is merged in several shares, each in a transaction of its own.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from crypto_analytics.core.deduplication import Deduplicated, deduplicate
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store import merge_sql
from crypto_analytics.store.archive import HOUR, RawArchive, Uploads
from crypto_analytics.store.merge_sql import MergedState

# So many objects are written well within REUSE_SECONDS, even if each put takes as long as its timeout allows.
_SHARE_OBJECTS = 256


@dataclass(slots=True)
class Merged:
    """The result of merging a batch.

    ``trades`` is the number of trade ids merged, ``archived`` the number of values archived, ``duplicates`` the number
    of values dropped; ``rejected`` has the symbol and the trade of each rejected value. ``unlisted`` is the number of
    objects that were written for the batch, are not used and could not be deleted.
    """

    trades: int = 0
    archived: int = 0
    duplicates: int = 0
    rejected: list[tuple[str, Trade]] = field(default_factory=list)
    oldest: list[int] = field(default_factory=list)
    """Time in microseconds of the oldest trade merged, one per symbol."""
    unlisted: int = 0

    def add(self, other: "Merged") -> None:
        """Add the result of another share of the batch."""
        self.trades += other.trades
        self.archived += other.archived
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.oldest += other.oldest


class BatchMerge:
    """The merge of one batch across all attempts: each attempt resumes where the previous one failed."""

    def __init__(self, archive: RawArchive, batch: Mapping[str, TradeColumns]) -> None:
        self._archive = archive
        self._shares = deque((share, Uploads()) for share in _shares(batch))
        self._merged = Merged()
        self._unused: set[str] = set()

    def run(self, connection: psycopg.Connection) -> Merged:
        """Merge the trades of the batch that are not merged yet. The connection is in autocommit mode.

        Raises:
            psycopg.Error, OSError, MinioException, HTTPError: call this again with a new connection; what was merged
                and written so far is kept.
        """
        while self._shares:
            share, uploads = self._shares[0]
            self._merged.add(_merge_share(connection, self._archive, share, uploads))
            self._unused |= uploads.keys
            self._shares.popleft()
        if self._unused:
            # An attempt whose commit was not confirmed may have listed some of them all the same.
            self._unused -= merge_sql.listed_keys(connection, self._unused)
            if self._unused:
                self._merged.unlisted = self._archive.discard(self._unused)
                self._unused.clear()
        return self._merged


def _shares(batch: Mapping[str, TradeColumns]) -> list[dict[str, TradeColumns]]:
    """Return ``batch`` in shares of at most 256 objects each; a batch of usual size is one share."""
    shares: list[dict[str, TradeColumns]] = []
    room = 0
    for symbol, trades in batch.items():
        hours = [part for _, part in trades.by_period(HOUR)]
        for start in range(0, len(hours), _SHARE_OBJECTS):
            some = hours[start : start + _SHARE_OBJECTS]
            if len(some) > room:
                shares.append({})
                room = _SHARE_OBJECTS
            shares[-1][symbol] = trades if len(some) == len(hours) else TradeColumns.joined(some)
            room -= len(some)
    return shares


def _merge_share(
    connection: psycopg.Connection, archive: RawArchive, batch: Mapping[str, TradeColumns], uploads: Uploads
) -> Merged:
    """Merge ``batch`` in one transaction, and remove the keys of the objects that it lists from ``uploads.keys``.

    The loop terminates: it repeats only if another transaction merged some of the ids, or if an object grew too old.
    """
    state = merge_sql.read_merged_state(connection, batch)
    results, fresh = _deduplicate(batch, state)
    while fresh:
        archive.write(fresh, uploads, state.now)
        with connection.transaction():
            before, state = state, merge_sql.read_merged_state(connection, batch, lock=True)
            if state.ids != before.ids:
                results, fresh = _deduplicate(batch, state)
            objects = uploads.written(fresh, state.now)
            if objects:
                fresh_ids = {symbol: result.fresh_ids for symbol, result in results.items()}
                with connection.pipeline():
                    merge_sql.merge_candles(connection, fresh)
                    merge_sql.merge_ranges(connection, state.ids, fresh_ids)
                    merge_sql.settle_merged_ids(
                        connection, {symbol: fresh_ids[symbol] for symbol in state.with_absent_ids}
                    )
                    merge_sql.list_objects(connection, objects)
        if objects:
            uploads.keys.difference_update(item.key for item in objects)
            break
    return Merged(
        trades=sum(result.fresh_ids.count() for result in results.values()),
        archived=sum(map(len, fresh.values())),
        duplicates=sum(result.duplicates for result in results.values()),
        rejected=[(symbol, trade) for symbol, result in results.items() for trade in result.rejected],
        oldest=[int(trades.times.min()) for trades in fresh.values()],
    )


def _deduplicate(
    batch: Mapping[str, TradeColumns], state: MergedState
) -> tuple[dict[str, Deduplicated], dict[str, TradeColumns]]:
    """Return the result of each symbol, and the fresh trades of the symbols that have any."""
    results = {symbol: deduplicate(trades, state.ids[symbol]) for symbol, trades in batch.items()}
    return results, {symbol: result.fresh for symbol, result in results.items() if result.fresh}
