"""SQL for candles with their completeness, source and reconciliation, of any interval.

A candle with the official kline is complete, as all trades are in its numbers, whatever the stream has missed.
"""

from psycopg.errors import UndefinedTable

from crypto_analytics.api import candle_sql
from crypto_analytics.api.context import ApiContext
from crypto_analytics.api.intervals import Calendar, Window
from crypto_analytics.core.minutes import to_datetime

_FIELDS = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "quote_volume": "quoteVolume",
    "trade_count": "tradeCount",
    "taker_buy_volume": "takerBuyVolume",
    "taker_buy_quote_volume": "takerBuyQuoteVolume",
}

_RECONCILIATION = """
    left join reconciliation_klines_1m as compared
        on compared.symbol = %(symbol)s and compared.open_time = minute.open_time
"""
# Before the first batch there is no reconciliation.
_NO_RECONCILIATION = f"""
    cross join (
        select null::text as status, {", ".join(f"0 as {measure}_difference" for measure in _FIELDS)}
    ) as compared
"""

_DETAILS = """,
detailed as (
    select
        minute.*,
        {start} as start_time,
        minute.source <> 'realtime' or candle.is_complete as complete,
        case
            when minute.source = 'realtime'
            then candle.last_trade_id - candle.first_trade_id + 1 - candle.trade_count - candle.verified_absent_count
            else 0
        end as missing_ids,
        coalesce(candle.verified_absent_count, 0) as verified_absent_ids,
        coalesce(candle.revision, 0) as revision,
        compared.status,
        {differs}
    from minute
    left join candle on candle.open_time = minute.open_time
    {reconciliation}
),
kline as (
    select
        start_time as open_time, min(open_time) as first_time, max(open_time) as last_time, count(*) as minutes,
        max(high) as high, min(low) as low, sum(volume) as volume, sum(quote_volume) as quote_volume,
        sum(trade_count) as trade_count, sum(taker_buy_volume) as taker_buy_volume,
        sum(taker_buy_quote_volume) as taker_buy_quote_volume,
        bool_and(complete) as complete, sum(missing_ids) as missing_ids,
        sum(verified_absent_ids) as verified_absent_ids, max(revision) as revision,
        case
            when bool_and(source = 'empty') then 'empty'
            when bool_or(source = 'realtime') then 'realtime'
            when bool_or(source = 'official') then 'official'
        end as source,
        case
            when bool_or(status = 'different') then 'different'
            when count(*) = count(status) and min(status) = max(status) and min(status) <> 'incomplete'
            then replace(min(status), '_', ' ')
        end as reconciled,
        {any_differs}
    from detailed
    group by start_time
    order by start_time {direction}
    limit %(limit)s
)
select coalesce(string_agg(candle, ',' order by open_time), '')
from (
    select
        kline.open_time,
        json_build_object(
            'symbol', %(symbol)s::text,
            'interval', %(interval)s::text,
            'openTime', (extract(epoch from kline.open_time) * 1000)::bigint,
            'closeTime', (extract(epoch from {end}) * 1000)::bigint - 1,
            'open', opening.open::text,
            'high', kline.high::text,
            'low', kline.low::text,
            'close', closing.close::text,
            'volume', kline.volume::text,
            'quoteVolume', kline.quote_volume::text,
            'tradeCount', kline.trade_count,
            'takerBuyVolume', kline.taker_buy_volume::text,
            'takerBuyQuoteVolume', kline.taker_buy_quote_volume::text,
            'complete', kline.complete and kline.minutes * interval '1 minute' = {end} - kline.open_time,
            'closed', {end} <= %(now)s,
            'missingIds', kline.missing_ids,
            'verifiedAbsentIds', kline.verified_absent_ids,
            'source', kline.source,
            'reconciled', kline.reconciled,
            'differences', array_remove(array[{differences}], null),
            'revision', kline.revision
        )::text as candle
    from kline
    inner join minute as opening on opening.open_time = kline.first_time
    inner join minute as closing on closing.open_time = kline.last_time
) as candles
"""


async def read(context: ApiContext, calendar: Calendar, symbol: str, window: Window, limit: int) -> str:
    """Return up to ``limit`` candles of a window as JSON objects, joined by commas, the oldest first.

    Raises StoreUnavailable and QueryTooSlow.
    """
    parameters = candle_sql.parameters(calendar, symbol, window, limit) | {
        "interval": calendar.interval.name,
        "now": to_datetime(context.clock()),
    }
    try:
        query = _query(calendar, newest_first=window.newest_first, with_reconciliation=True)
        [(rows,)] = await context.database.rows(query, parameters)
    except UndefinedTable:
        query = _query(calendar, newest_first=window.newest_first, with_reconciliation=False)
        [(rows,)] = await context.database.rows(query, parameters)
    return str(rows)


def _query(calendar: Calendar, *, newest_first: bool, with_reconciliation: bool) -> str:
    start, end = candle_sql.start_and_end(calendar)
    return candle_sql.minutes(newest_first=newest_first) + _DETAILS.format(
        start=start.replace("open_time", "minute.open_time"),
        end=f"({end})",
        direction="desc" if newest_first else "asc",
        reconciliation=_RECONCILIATION if with_reconciliation else _NO_RECONCILIATION,
        differs=", ".join(
            f"compared.status = 'different' and compared.{measure}_difference <> 0 as {measure}_differs"
            for measure in _FIELDS
        ),
        any_differs=", ".join(f"bool_or({measure}_differs) as {measure}_differs" for measure in _FIELDS),
        differences=", ".join(
            f"case when kline.{measure}_differs then '{name}' end" for measure, name in _FIELDS.items()
        ),
    )
