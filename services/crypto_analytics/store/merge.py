"""Exactly once into PostgreSQL: one transaction merges a batch, and a replay of it changes nothing.

The transaction locks the batch's symbols, reads which ids they hold, drops those from the batch, archives what is left,
merges its partial candles, extends the id ranges and lists the archived objects. Offsets are committed only after it.
So a crash at any point is repaired by doing the same again: the ids are in the set by then, or they are not.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crypto_analytics.core.candles import PartialCandle, aggregate
from crypto_analytics.core.decimals import PRODUCT_SCALE, format_scaled
from crypto_analytics.core.dedup import Deduplicated, drop_known
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import Trade, TradeColumns
from crypto_analytics.store.archive import RawArchive, RawObject

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


@dataclass(slots=True)
class Merged:
    """What a batch came to: ids merged; values archived, dropped as duplicates, and rejected (with their symbol)."""

    trades: int = 0
    archived: int = 0
    duplicates: int = 0
    rejected: list[tuple[str, Trade]] = field(default_factory=list)
    oldest: list[int] = field(default_factory=list)
    """Time in microseconds of the oldest trade merged, one a symbol."""


def merge_batch(connection: psycopg.Connection, archive: RawArchive, batch: Mapping[str, TradeColumns]) -> Merged:
    """Merge the trades of ``batch`` (by symbol) that are not merged yet, in one transaction.

    Raises:
        psycopg.Error, OSError, minio's errors: nothing was merged; the same batch may be tried again.
    """
    batch = {symbol: trades for symbol, trades in batch.items() if trades}
    if not batch:
        return Merged()
    with connection.transaction():
        connection.execute(_LOCK, [list(batch)])
        held, with_absent_ids = _held_ranges(connection, batch)
        results = {symbol: drop_known(trades, held[symbol]) for symbol, trades in batch.items()}
        fresh = {symbol: result.fresh for symbol, result in results.items() if result.fresh}
        if fresh:
            objects = archive.write(fresh)
            with connection.pipeline():
                _store_candles(connection, fresh)
                _store_ranges(connection, held, results)
                _settle_merged_ids(connection, {symbol: results[symbol].fresh_ids for symbol in with_absent_ids})
                _list_objects(connection, objects)
    return Merged(
        trades=sum(result.fresh_ids.count() for result in results.values()),
        archived=sum(map(len, fresh.values())),
        duplicates=sum(result.duplicates for result in results.values()),
        rejected=[(symbol, trade) for symbol, result in results.items() for trade in result.rejected],
        oldest=[int(trades.times.min()) for trades in fresh.values()],
    )


def _held_ranges(
    connection: psycopg.Connection, batch: Mapping[str, TradeColumns]
) -> tuple[dict[str, IdRanges], set[str]]:
    """Return, for each symbol, the held ranges that the batch could touch; and the symbols with verified absent ids."""
    lows = [int(trades.first_ids.min()) for trades in batch.values()]
    highs = [int(trades.last_ids.max()) for trades in batch.values()]
    held = {symbol: IdRanges() for symbol in batch}
    with_absent_ids = set()
    for symbol, first, last in connection.execute(_HELD, [list(batch), lows, highs]):
        if first is None:
            with_absent_ids.add(symbol)
        else:
            held[symbol].add(first, last)
    return held, with_absent_ids


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
