"""SQL for candles of any interval, rolled up from minutes in PostgreSQL with exact numbers.

A minute is, as in dbt's silver_klines_1m, the official kline if there is one, else the realtime candle, else the empty
candle that the trade ids of its neighbours prove. Other than silver, minutes include realtime candles that are not
complete: the newest one never is.

A window is read by the primary keys. The first n candles of an interval with m minutes lie within the first n * m rows
of each table, so no more are read, whatever times the request spans.
"""

from datetime import timedelta

from crypto_analytics.api.intervals import Calendar, Window
from crypto_analytics.core.minutes import MINUTE, to_datetime

_MEASURES = "open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume"

# Parameters: symbol, start and until (the window; until is excluded), minutes (rows of each table).
_MINUTES = """
with official as materialized (
    select open_time, {measures}
    from raw_klines
    where symbol = {symbol} and open_time >= %(start)s and open_time < %(until)s
    order by open_time {direction}
    limit %(minutes)s
),
-- With the candles before and after the window, for the empty minutes at its ends.
candle as materialized (
    select
        open_time, {measures}, first_trade_id, last_trade_id, is_complete, verified_absent_count, revision,
        lead(open_time) over following as next_time, lead(first_trade_id) over following as next_id
    from (
        select *
        from fact_realtime_trades_1m
        where
            symbol = {symbol}
            and open_time >= coalesce(
                (
                    select max(before.open_time) from fact_realtime_trades_1m as before
                    where before.symbol = {symbol} and before.open_time < %(start)s
                ),
                %(start)s
            )
            and open_time <= coalesce(
                (
                    select min(after.open_time) from fact_realtime_trades_1m as after
                    where after.symbol = {symbol} and after.open_time >= %(until)s
                ),
                %(until)s
            )
        order by open_time {direction}
        limit %(minutes)s + 2
    ) as read
    window following as (order by open_time)
),
-- As dbt/macros/empty_minutes.sql decides it.
empty as (
    select minute.open_time, span.close as price
    from candle as span
    cross join lateral unnest(
        array(
            select generate_series(
                greatest(span.open_time + interval '1 minute', %(start)s),
                least(span.next_time, %(until)s) - interval '1 minute',
                interval '1 minute'
            )
        )
    ) as minute (open_time)
    where
        span.next_time > span.open_time + interval '1 minute'
        and span.next_time - span.open_time <= interval '31 days'
        and case
            when span.next_id = span.last_trade_id + 1 then true
            when span.next_id <= span.last_trade_id then false
            else span.next_id - span.last_trade_id - 1 = (
                select coalesce(sum(
                    least(absent.last_id, span.next_id - 1) - greatest(absent.first_id, span.last_trade_id + 1) + 1
                ), 0)
                from verified_absent_ids as absent
                where
                    absent.symbol = {symbol}
                    and absent.first_id < span.next_id
                    and absent.last_id > span.last_trade_id
            )
        end
        and not exists (select from official where official.open_time = minute.open_time)
),
minute as (
    select open_time, {measures}, 'official' as source from official
    union all
    select open_time, {measures}, 'realtime'
    from candle
    where
        open_time >= %(start)s and open_time < %(until)s
        and not exists (select from official where official.open_time = candle.open_time)
    union all
    select
        open_time, price, price, price, price,
        0.00000000, 0.0000000000000000, 0, 0.00000000, 0.0000000000000000, 'empty'
    from empty
)"""

# Parameters: limit, and those of {start}.
_CANDLES = """,
kline as (
    select
        {start} as open_time, min(open_time) as first_time, max(open_time) as last_time,
        max(high) as high, min(low) as low, sum(volume) as volume, sum(quote_volume) as quote_volume,
        sum(trade_count) as trade_count, sum(taker_buy_volume) as taker_buy_volume,
        sum(taker_buy_quote_volume) as taker_buy_quote_volume
    from minute
    group by 1
    order by 1 {direction}
    limit %(limit)s
),
candles as (
    select
        kline.open_time, {end} as end_time, opening.open, kline.high, kline.low, closing.close, kline.volume,
        kline.quote_volume, kline.trade_count, kline.taker_buy_volume, kline.taker_buy_quote_volume
    from kline
    inner join minute as opening on opening.open_time = kline.first_time
    inner join minute as closing on closing.open_time = kline.last_time
)"""
_OF_MINUTES = """,
candles as (
    select open_time, open_time + interval '1 minute' as end_time, {measures}
    from minute
    order by open_time {direction}
    limit %(limit)s
)"""

# Start of the kline with a minute, and its end. Parameters: length, origin; offset.
_FIXED = ("date_bin(%(length)s, open_time, %(origin)s)", "kline.open_time + %(length)s")
_MONTH = (
    "date_trunc('month', open_time + %(offset)s, 'UTC') - %(offset)s",
    "kline.open_time + %(offset)s + interval '1 month' - %(offset)s",
)

# The exchange's twelve columns. Quote volumes have 16 decimals here and 8 at the exchange, which truncates.
# Parameter: unit, 1000 for milliseconds.
_ROWS = """
select coalesce(
    string_agg(
        '[' || (extract(epoch from open_time) * %(unit)s)::bigint
        || ',"' || open || '","' || high || '","' || low || '","' || close || '","' || volume
        || '",' || (extract(epoch from end_time) * %(unit)s)::bigint - 1
        || ',"' || trunc(quote_volume, 8) || '",' || trade_count
        || ',"' || taker_buy_volume || '","' || trunc(taker_buy_quote_volume, 8) || '","0"]',
        ',' order by open_time
    ),
    ''
)
from candles
"""


# One row with one JSON text. Trade ids are known of realtime candles only. Parameters: open_time, close_time.
_DAY = """
select json_build_object(
    'symbol', %(symbol)s::text,
    'priceChange', coalesce(close - open, 0.00000000)::text,
    'priceChangePercent', coalesce(round((close - open) * 100 / nullif(open, 0), 3), 0.000)::text,
    'weightedAvgPrice', coalesce(trunc(quote_volume / nullif(volume, 0), 8), 0.00000000)::text,
    'lastPrice', coalesce(close, 0.00000000)::text,
    'openPrice', coalesce(open, 0.00000000)::text,
    'highPrice', coalesce(high, 0.00000000)::text,
    'lowPrice', coalesce(low, 0.00000000)::text,
    'volume', coalesce(volume, 0.00000000)::text,
    'quoteVolume', coalesce(trunc(quote_volume, 8), 0.00000000)::text,
    'openTime', %(open_time)s::bigint,
    'closeTime', %(close_time)s::bigint,
    'firstId', coalesce(first_id, -1),
    'lastId', coalesce(last_id, -1),
    'count', coalesce(trade_count, 0)
)::text
from (
    select
        (array_agg(open order by open_time))[1] as open, (array_agg(close order by open_time desc))[1] as close,
        max(high) as high, min(low) as low, sum(volume) as volume, sum(quote_volume) as quote_volume,
        sum(trade_count) as trade_count
    from minute
) as day
cross join (
    select min(first_trade_id) as first_id, max(last_trade_id) as last_id
    from candle
    where open_time >= %(start)s and open_time < %(until)s
) as ids
"""


def day_ticker() -> str:
    """Return the query for the statistics of a window: one row with one JSON text, zeros if there is no candle."""
    return minutes(newest_first=False) + _DAY


def klines(calendar: Calendar, *, newest_first: bool) -> str:
    """Return the query for klines as the exchange's JSON rows, joined by commas: one row with one text."""
    return _candles(calendar, newest_first=newest_first) + _ROWS


def minutes(*, newest_first: bool, symbol: str = "%(symbol)s") -> str:
    """Return the beginning of a query, which defines the minutes of a window as ``minute``, read from ``candle``.

    ``symbol`` is the expression for the symbol.
    """
    return _MINUTES.format(measures=_MEASURES, direction="desc" if newest_first else "asc", symbol=symbol)


def start_and_end(calendar: Calendar) -> tuple[str, str]:
    """Return the expressions for the start of the candle with the minute ``open_time``, and the end of ``kline``."""
    return _MONTH if calendar.interval.length is None else _FIXED


def _candles(calendar: Calendar, *, newest_first: bool) -> str:
    direction = "desc" if newest_first else "asc"
    read = minutes(newest_first=newest_first)
    if calendar.interval.length == MINUTE:
        return read + _OF_MINUTES.format(measures=_MEASURES, direction=direction)
    start, end = start_and_end(calendar)
    return read + _CANDLES.format(start=start, end=end, direction=direction)


def parameters(calendar: Calendar, symbol: str, window: Window, limit: int) -> dict[str, object]:
    """Return the parameters of a query for at most ``limit`` candles of ``symbol`` in ``window``."""
    shared = {
        "symbol": symbol,
        "start": to_datetime(window.start),
        "until": to_datetime(window.until),
        "minutes": limit * calendar.interval.most_minutes,
        "limit": limit,
    }
    if calendar.interval.length is None:
        return shared | {"offset": timedelta(microseconds=calendar.offset)}
    return shared | {
        "length": timedelta(microseconds=calendar.interval.length),
        "origin": to_datetime(calendar.interval.origin - calendar.offset),
    }
