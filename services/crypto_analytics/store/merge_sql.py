"""SQL statements of the merge transaction, and the functions that run them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from crypto_analytics.core.candles import PartialCandle, aggregate
from crypto_analytics.core.decimals import PRODUCT_SCALE, format_scaled
from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.trades import TradeColumns
from crypto_analytics.store.archive import RawObject

# Locks are taken in one order, so that two batches cannot deadlock.
_LOCK = """
select pg_advisory_xact_lock(key)
from (select hashtextextended(symbol, 20170714) as key from unnest(%s::text[]) as symbol order by key) as ordered
"""

# A row without ids means that the symbol has verified absent ids. Hardly any symbol has, and no others need _SETTLE.
_MERGED_RANGES = """
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

_DELETE_RANGES = """
delete from trade_id_ranges as ranges
using unnest(%s::text[], %s::bigint[]) as absorbed (symbol, first_id)
where ranges.symbol = absorbed.symbol and ranges.first_id = absorbed.first_id
"""

_UPSERT_RANGES = """
insert into trade_id_ranges (symbol, first_id, last_id)
select * from unnest(%s::text[], %s::bigint[], %s::bigint[])
on conflict (symbol, first_id) do update set last_id = excluded.last_id
"""

_MERGE_CANDLES = """
insert into fact_realtime_trades_1m as stored (
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
    open = case when excluded.first_trade_id < stored.first_trade_id then excluded.open else stored.open end,
    close = case when excluded.last_trade_id > stored.last_trade_id then excluded.close else stored.close end,
    high = greatest(stored.high, excluded.high),
    low = least(stored.low, excluded.low),
    volume = stored.volume + excluded.volume,
    quote_volume = stored.quote_volume + excluded.quote_volume,
    trade_count = stored.trade_count + excluded.trade_count,
    taker_buy_volume = stored.taker_buy_volume + excluded.taker_buy_volume,
    taker_buy_quote_volume = stored.taker_buy_quote_volume + excluded.taker_buy_quote_volume,
    first_trade_id = least(stored.first_trade_id, excluded.first_trade_id),
    last_trade_id = greatest(stored.last_trade_id, excluded.last_trade_id),
    is_complete = false,
    updated_at = now()
"""

# A candle is complete if one range contains its ids and one more on either side; no id comes before 0. For symbols with
# verified absent ids, settle_merged_ids (0005_verified_absence.sql) handles candles over such ids.
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

_SETTLE = "select settle_merged_ids(%s::text[], %s::bigint[], %s::bigint[])"

_INSERT_OBJECTS = """
insert into raw_objects (object_key, symbol, hour, first_id, last_id, value_count, byte_count)
select
    object_key, symbol, timestamptz 'epoch' + hour * interval '1 microsecond', first_id, last_id,
    value_count, byte_count
from unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[])
  as batch (object_key, symbol, hour, first_id, last_id, value_count, byte_count)
"""

_CLOCK = "select extract(epoch from clock_timestamp())::float8"

_LISTED_KEYS = "select object_key from raw_objects where object_key = any(%s)"


@dataclass(slots=True)
class MergedState:
    """State of the database before a batch is merged.

    ``ids`` are the merged trade ids by symbol, as far as they touch the batch. ``with_absent_ids`` are the symbols that
    have verified absent ids. ``now`` is the database's clock in seconds since the epoch.
    """

    ids: dict[str, IdRanges]
    with_absent_ids: set[str]
    now: float


def read_merged_state(
    connection: psycopg.Connection, batch: Mapping[str, TradeColumns], *, lock: bool = False
) -> MergedState:
    """Return the state for the trades of ``batch``; with ``lock``, after locking its symbols for the transaction."""
    lows = [int(trades.first_ids.min()) for trades in batch.values()]
    highs = [int(trades.last_ids.max()) for trades in batch.values()]
    with connection.pipeline():
        if lock:
            connection.execute(_LOCK, [list(batch)])
        rows = connection.execute(_MERGED_RANGES, [list(batch), lows, highs])
        clock = connection.execute(_CLOCK)
    ids = {symbol: IdRanges() for symbol in batch}
    with_absent_ids = set()
    for symbol, first, last in rows:
        if first is None:
            with_absent_ids.add(symbol)
        else:
            ids[symbol].add(first, last)
    ((now,),) = clock
    return MergedState(ids, with_absent_ids, now)


def merge_candles(connection: psycopg.Connection, fresh: Mapping[str, TradeColumns]) -> None:
    """Merge the partial candles of the trades ``fresh`` (by symbol) into those of the database."""
    rows = [
        (symbol, open_time, candle)
        for symbol, trades in fresh.items()
        for open_time, candle in aggregate(trades).items()
    ]
    columns: dict[str, list[Any]] = {
        name: [_to_sql(name, getattr(candle, name)) for _, _, candle in rows] for name in PartialCandle._fields
    }
    symbols, open_times = [row[0] for row in rows], [row[1] for row in rows]
    connection.execute(_MERGE_CANDLES, {"symbol": symbols, "open_time": open_times, **columns})


_COUNTS = frozenset({"open_id", "close_id", "trade_count"})
_PRODUCTS = frozenset({"quote_volume", "taker_buy_quote_volume"})


def _to_sql(name: str, value: int) -> int | str:
    """Return a field of a candle as a query parameter: ids and counts as integers, scaled numbers as decimals."""
    if name in _COUNTS:
        return value
    return format_scaled(value, PRODUCT_SCALE) if name in _PRODUCTS else format_scaled(value)


def merge_ranges(connection: psycopg.Connection, merged: Mapping[str, IdRanges], fresh: Mapping[str, IdRanges]) -> None:
    """Add the ids ``fresh`` to the ranges ``merged`` (both by symbol), and mark the candles that this completes."""
    absorbed: dict[str, list[int]] = defaultdict(list)
    symbols: list[str] = []
    firsts: list[int] = []
    lasts: list[int] = []
    for symbol, ids in fresh.items():
        before = list(merged[symbol])
        after = IdRanges(before)
        after.update(ids)
        kept = {first for first, _ in after}
        absorbed[symbol] = [first for first, _ in before if first not in kept]
        for first, last in set(after) - set(before):
            symbols.append(symbol)
            firsts.append(first)
            lasts.append(last)
    if any(absorbed.values()):
        deleted = [(symbol, first) for symbol, ranges in absorbed.items() for first in ranges]
        connection.execute(_DELETE_RANGES, [[row[0] for row in deleted], [row[1] for row in deleted]])
    connection.execute(_UPSERT_RANGES, [symbols, firsts, lasts])
    connection.execute(_MARK_COMPLETE, [symbols, firsts, lasts])


def settle_merged_ids(connection: psycopg.Connection, fresh: Mapping[str, IdRanges]) -> None:
    """Update the verified absent ids of the symbols in ``fresh``, and the candles over them, after a merge."""
    ranges = [(symbol, first, last) for symbol, ids in fresh.items() for first, last in ids]
    if ranges:
        connection.execute(_SETTLE, [list(column) for column in zip(*ranges, strict=True)])


def list_objects(connection: psycopg.Connection, objects: list[RawObject]) -> None:
    """Insert ``objects`` into ``raw_objects``."""
    columns = [[getattr(item, name) for item in objects] for name in RawObject._fields]
    connection.execute(_INSERT_OBJECTS, columns)


def listed_keys(connection: psycopg.Connection, keys: Iterable[str]) -> set[str]:
    """Return those of ``keys`` that are listed in ``raw_objects``."""
    return {key for (key,) in connection.execute(_LISTED_KEYS, [list(keys)])}
