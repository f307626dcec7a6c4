"""Exactly once into PostgreSQL: one transaction merges a batch, and a replay of it changes nothing.

What of the batch is new is archived first, without a lock and outside of any transaction, so that a slow object store
keeps nobody else waiting. Then the transaction locks the batch's symbols and reads again which ids they hold. Where
the archived objects are still exactly what is new, it merges the partial candles, extends the id ranges and lists the
objects; where somebody else merged some of the ids meanwhile, it ends, and what is left is archived anew. Offsets are
committed only after the merge. So a crash at any point is repaired by doing the same again: the ids are in the set by
then, or they are not.

A batch of very many objects is merged in several shares, each in a transaction of its own.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crypto_analytics.core.candles import PartialCandle, aggregate
from crypto_analytics.core.decimals import PRODUCT_SCALE, format_scaled
from crypto_analytics.core.dedup import Deduplicated, deduplicate
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import HOUR, RawArchive, RawObject, Uploads

# So many objects are written well within REUSE_SECONDS, even by a store where each put takes as long as it may.
_SHARE_OBJECTS = 256

# Locks are taken in one order, so that two batches never wait for each other in a circle.
_LOCK = """
select pg_advisory_xact_lock(key)
from (select hashtextextended(symbol, 20170714) as key from unnest(%s::text[]) as symbol order by key) as ordered
"""

# A row without ids says that the symbol has verified absent ids; nearly none has, and then nothing else is looked up.
_HELD = """
with batch as (
    select * from unnest(%s::text[], %s::bigint[], %s::bigint[]) as batch (symbol, first_id, last_id)
)
select ranges.symbol, ranges.first_id, ranges.last_id
from batch
join trade_id_ranges as ranges
  on ranges.symbol = batch.symbol and ranges.last_id >= batch.first_id - 1 and ranges.first_id <= batch.last_id + 1
union all
select batch.symbol, null, null
from batch
where exists (select from verified_absent_ids as absent where absent.symbol = batch.symbol)
"""

_FORGET_RANGES = """
delete from trade_id_ranges as ranges
using unnest(%s::text[], %s::bigint[]) as absorbed (symbol, first_id)
where ranges.symbol = absorbed.symbol and ranges.first_id = absorbed.first_id
"""

_STORE_RANGES = """
insert into trade_id_ranges (symbol, first_id, last_id)
select * from unnest(%s::text[], %s::bigint[], %s::bigint[])
on conflict (symbol, first_id) do update set last_id = excluded.last_id
"""

_MERGE_CANDLES = """
insert into fact_realtime_trades_1m as held (
    symbol, open_time, open, high, low, close, volume, quote_volume, trade_count,
    taker_buy_volume, taker_buy_quote_volume, first_trade_id, last_trade_id
)
select
    symbol, timestamptz 'epoch' + open_time * interval '1 microsecond', open, high, low, close, volume, quote_volume,
    trade_count, taker_buy_volume, taker_buy_quote_volume, first_trade_id, last_trade_id
from unnest(
    %(symbol)s::text[], %(open_time)s::bigint[], %(open)s::numeric[], %(high)s::numeric[], %(low)s::numeric[],
    %(close)s::numeric[], %(volume)s::numeric[], %(quote_volume)s::numeric[], %(trade_count)s::bigint[],
    %(taker_buy_volume)s::numeric[], %(taker_buy_quote_volume)s::numeric[],
    %(open_id)s::bigint[], %(close_id)s::bigint[]
) as batch (
    symbol, open_time, open, high, low, close, volume, quote_volume, trade_count,
    taker_buy_volume, taker_buy_quote_volume, first_trade_id, last_trade_id
)
on conflict (symbol, open_time) do update set
    open = case when excluded.first_trade_id < held.first_trade_id then excluded.open else held.open end,
    close = case when excluded.last_trade_id > held.last_trade_id then excluded.close else held.close end,
    high = greatest(held.high, excluded.high),
    low = least(held.low, excluded.low),
    volume = held.volume + excluded.volume,
    quote_volume = held.quote_volume + excluded.quote_volume,
    trade_count = held.trade_count + excluded.trade_count,
    taker_buy_volume = held.taker_buy_volume + excluded.taker_buy_volume,
    taker_buy_quote_volume = held.taker_buy_quote_volume + excluded.taker_buy_quote_volume,
    first_trade_id = least(held.first_trade_id, excluded.first_trade_id),
    last_trade_id = greatest(held.last_trade_id, excluded.last_trade_id),
    is_complete = false,
    updated_at = now()
"""

# A candle is complete when one range holds its ids and one more on either side; no id comes before 0. Candles over
# verified absent ids are left to settle_merged_ids (0005_verified_absence.sql), for the symbols that have such ids.
_MARK_COMPLETE = """
update fact_realtime_trades_1m as candle
set is_complete = true, updated_at = now()
from unnest(%s::text[], %s::bigint[], %s::bigint[]) as merged (symbol, first_id, last_id)
where candle.symbol = merged.symbol
  and not candle.is_complete
  and candle.first_trade_id >= merged.first_id
  and (candle.first_trade_id > merged.first_id or candle.first_trade_id = 0)
  and candle.last_trade_id < merged.last_id
"""

_SETTLE_MERGED_IDS = "select settle_merged_ids(%s::text[], %s::bigint[], %s::bigint[])"

_LIST_OBJECTS = """
insert into raw_objects (object_key, symbol, hour, first_id, last_id, value_count, byte_count)
select
    object_key, symbol, timestamptz 'epoch' + hour * interval '1 microsecond', first_id, last_id,
    value_count, byte_count
from unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[])
  as batch (object_key, symbol, hour, first_id, last_id, value_count, byte_count)
"""


_CLOCK = "select extract(epoch from clock_timestamp())::float8"

_LISTED = "select object_key from raw_objects where object_key = any(%s)"


@dataclass(slots=True)
class Merged:
    """What a batch came to: ids merged; values archived, dropped as duplicates, and rejected (with their symbol).

    ``unlisted`` counts the objects that were written for it, turned out useless and could not be deleted.
    """

    trades: int = 0
    archived: int = 0
    duplicates: int = 0
    rejected: list[tuple[str, Trade]] = field(default_factory=list)
    oldest: list[int] = field(default_factory=list)
    """Time in microseconds of the oldest trade merged, one a symbol."""
    unlisted: int = 0

    def add(self, other: "Merged") -> None:
        """Add what another share of the batch came to."""
        self.trades += other.trades
        self.archived += other.archived
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.oldest += other.oldest


@dataclass(slots=True)
class _Held:
    """What the database holds of a batch: merged ids by symbol, symbols with verified absent ids, and its clock."""

    ids: dict[str, IdRanges]
    with_absent_ids: set[str]
    now: float


class BatchMerge:
    """The merge of one batch, over as many attempts as it takes: each goes on where the one before it failed."""

    def __init__(self, archive: RawArchive, batch: Mapping[str, TradeColumns]) -> None:
        self._archive = archive
        self._shares = deque((share, Uploads()) for share in _shares(batch))
        self._merged = Merged()
        self._useless: set[str] = set()

    def run(self, connection: psycopg.Connection) -> Merged:
        """Merge the trades of the batch that are not merged yet. The connection is in autocommit mode.

        Raises:
            psycopg.Error, OSError, minio's errors: run again, with a new connection. What was merged and what was
                written so far is kept.
        """
        while self._shares:
            share, uploads = self._shares[0]
            self._merged.add(_merge_share(connection, self._archive, share, uploads))
            self._useless |= uploads.keys
            self._shares.popleft()
        if self._useless:
            listed = connection.execute(_LISTED, [list(self._useless)])
            self._useless -= {key for (key,) in listed}  # by an attempt whose commit was not confirmed
            if self._useless:
                self._merged.unlisted = self._archive.discard(self._useless)
                self._useless.clear()
        return self._merged


def merge_batch(connection: psycopg.Connection, archive: RawArchive, batch: Mapping[str, TradeColumns]) -> Merged:
    """Merge the trades of ``batch`` (by symbol) that are not merged yet, in one attempt.

    Raises:
        psycopg.Error, OSError, minio's errors: the same batch may be tried again; see :class:`BatchMerge`.
    """
    return BatchMerge(archive, batch).run(connection)


def _shares(batch: Mapping[str, TradeColumns]) -> list[dict[str, TradeColumns]]:
    """Return ``batch`` in shares that take at most 256 objects each: the usual batch is one share."""
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
    """Merge ``batch`` in one transaction. Objects that it lists are taken out of ``uploads.keys``.

    The loop ends: it is repeated only where another merge took some of the ids, or where the objects grew too old.
    """
    held = _read_held(connection, batch)
    results, fresh = _new(batch, held)
    while fresh:
        archive.write(fresh, uploads, held.now)
        with connection.transaction():
            before, held = held, _read_held(connection, batch, lock=True)
            if held.ids != before.ids:
                results, fresh = _new(batch, held)
            objects = uploads.written(fresh, held.now)
            if objects:
                with connection.pipeline():
                    _store_candles(connection, fresh)
                    _store_ranges(connection, held.ids, results)
                    absent = {symbol: results[symbol].fresh_ids for symbol in held.with_absent_ids}
                    _settle_merged_ids(connection, absent)
                    _list_objects(connection, objects)
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


def _new(batch: Mapping[str, TradeColumns], held: _Held) -> tuple[dict[str, Deduplicated], dict[str, TradeColumns]]:
    """Return what of each symbol's trades is new, and the new trades of the symbols that have any."""
    results = {symbol: deduplicate(trades, held.ids[symbol]) for symbol, trades in batch.items()}
    return results, {symbol: result.fresh for symbol, result in results.items() if result.fresh}


def _read_held(connection: psycopg.Connection, batch: Mapping[str, TradeColumns], *, lock: bool = False) -> _Held:
    """Return what the database holds of the batch; with ``lock``, of symbols that are locked before it is read."""
    lows = [int(trades.first_ids.min()) for trades in batch.values()]
    highs = [int(trades.last_ids.max()) for trades in batch.values()]
    with connection.pipeline():
        if lock:
            connection.execute(_LOCK, [list(batch)])
        rows = connection.execute(_HELD, [list(batch), lows, highs])
        clock = connection.execute(_CLOCK)
    ids = {symbol: IdRanges() for symbol in batch}
    with_absent_ids = set()
    for symbol, first, last in rows:
        if first is None:
            with_absent_ids.add(symbol)
        else:
            ids[symbol].add(first, last)
    ((now,),) = clock
    return _Held(ids, with_absent_ids, now)


def _store_candles(connection: psycopg.Connection, fresh: Mapping[str, TradeColumns]) -> None:
    rows = [
        (symbol, open_time, candle)
        for symbol, trades in fresh.items()
        for open_time, candle in aggregate(trades).items()
    ]
    columns: dict[str, list[Any]] = {
        name: [_as_sql(name, getattr(candle, name)) for _, _, candle in rows] for name in PartialCandle._fields
    }
    symbols, open_times = [row[0] for row in rows], [row[1] for row in rows]
    connection.execute(_MERGE_CANDLES, {"symbol": symbols, "open_time": open_times, **columns})


_COUNTS = frozenset({"open_id", "close_id", "trade_count"})
_PRODUCTS = frozenset({"quote_volume", "taker_buy_quote_volume"})


def _as_sql(name: str, value: int) -> int | str:
    """Return a measure of a candle as PostgreSQL takes it: counts as they are, scaled numbers as decimals."""
    if name in _COUNTS:
        return value
    return format_scaled(value, PRODUCT_SCALE) if name in _PRODUCTS else format_scaled(value)


def _store_ranges(
    connection: psycopg.Connection, held: Mapping[str, IdRanges], results: Mapping[str, Deduplicated]
) -> None:
    absorbed: dict[str, list[int]] = defaultdict(list)
    symbols: list[str] = []
    firsts: list[int] = []
    lasts: list[int] = []
    for symbol, result in results.items():
        before = list(held[symbol])
        after = IdRanges(before)
        after.update(result.fresh_ids)
        kept = {first for first, _ in after}
        absorbed[symbol] = [first for first, _ in before if first not in kept]
        for first, last in set(after) - set(before):
            symbols.append(symbol)
            firsts.append(first)
            lasts.append(last)
    if any(absorbed.values()):
        gone = [(symbol, first) for symbol, its in absorbed.items() for first in its]
        connection.execute(_FORGET_RANGES, [[row[0] for row in gone], [row[1] for row in gone]])
    connection.execute(_STORE_RANGES, [symbols, firsts, lasts])
    connection.execute(_MARK_COMPLETE, [symbols, firsts, lasts])


def _settle_merged_ids(connection: psycopg.Connection, merged: Mapping[str, IdRanges]) -> None:
    """Bring the verified absent ids of the symbols ``merged``, and the candles over them, up to date."""
    runs = [(symbol, first, last) for symbol, ids in merged.items() for first, last in ids]
    if runs:
        connection.execute(_SETTLE_MERGED_IDS, [list(column) for column in zip(*runs, strict=True)])


def _list_objects(connection: psycopg.Connection, objects: list[RawObject]) -> None:
    columns = [[getattr(item, name) for item in objects] for name in RawObject._fields]
    connection.execute(_LIST_OBJECTS, columns)
