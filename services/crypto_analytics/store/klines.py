"""The table ``raw_klines``: the exchange's official one-minute klines."""

from collections.abc import Sequence

import psycopg

from crypto_analytics.core.id_ranges import IdRanges
from crypto_analytics.core.klines import Kline
from crypto_analytics.core.minutes import MINUTE, to_datetime

_MINUTES_HELD = """
select min(minute), max(minute)
from (
    select minute, minute - row_number() over (order by minute) as island
    from (
        select (extract(epoch from open_time) / 60)::bigint as minute
        from raw_klines
        where symbol = %(symbol)s and open_time >= %(first)s and open_time <= %(last)s
    ) as stored
) as numbered
group by island
"""

# Decimal strings are cast to NUMERIC without a float in between. Unchanged rows are not updated, so that `updated_at`
# is the time of the last change.
_UPSERT = """
insert into raw_klines (
    symbol, open_time, open, high, low, close, volume, close_time,
    quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, ignore
)
select
    %(symbol)s, open_time, open, high, low, close, volume, close_time,
    quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, ignore
from unnest(
    %(open_time)s::timestamptz[], %(open)s::text[]::numeric[], %(high)s::text[]::numeric[],
    %(low)s::text[]::numeric[], %(close)s::text[]::numeric[], %(volume)s::text[]::numeric[],
    %(close_time)s::timestamptz[], %(quote_volume)s::text[]::numeric[], %(trade_count)s::bigint[],
    %(taker_buy_volume)s::text[]::numeric[], %(taker_buy_quote_volume)s::text[]::numeric[], %(ignore)s::text[]
) as kline (
    open_time, open, high, low, close, volume, close_time,
    quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, ignore
)
on conflict (symbol, open_time) do update set
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    volume = excluded.volume,
    close_time = excluded.close_time,
    quote_volume = excluded.quote_volume,
    trade_count = excluded.trade_count,
    taker_buy_volume = excluded.taker_buy_volume,
    taker_buy_quote_volume = excluded.taker_buy_quote_volume,
    ignore = excluded.ignore,
    updated_at = default
where (
    raw_klines.open, raw_klines.high, raw_klines.low, raw_klines.close, raw_klines.volume, raw_klines.close_time,
    raw_klines.quote_volume, raw_klines.trade_count, raw_klines.taker_buy_volume,
    raw_klines.taker_buy_quote_volume, raw_klines.ignore
) is distinct from (
    excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.close_time,
    excluded.quote_volume, excluded.trade_count, excluded.taker_buy_volume,
    excluded.taker_buy_quote_volume, excluded.ignore
)
"""

_TEXT_COLUMNS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)


def minutes_held(connection: psycopg.Connection, symbol: str, first: int, last: int) -> IdRanges:
    """Return the minutes in ``first``..``last`` that the table has for ``symbol``.

    A minute is its number since the epoch: the open time in microseconds / 60,000,000.
    """
    bounds = {"symbol": symbol, "first": to_datetime(first * MINUTE), "last": to_datetime(last * MINUTE)}
    return IdRanges(connection.execute(_MINUTES_HELD, bounds).fetchall())


def upsert(connection: psycopg.Connection, symbol: str, klines: Sequence[Kline]) -> int:
    """Insert ``klines`` and update rows that differ; return the number of rows inserted or updated.

    Runs in the caller's transaction. The open times must be unique.
    """
    if not klines:
        return 0
    columns: dict[str, object] = {name: [getattr(kline, name) for kline in klines] for name in _TEXT_COLUMNS}
    columns["open_time"] = [to_datetime(kline.open_time) for kline in klines]
    columns["close_time"] = [to_datetime(kline.close_time) for kline in klines]
    return connection.execute(_UPSERT, {"symbol": symbol, **columns}).rowcount
