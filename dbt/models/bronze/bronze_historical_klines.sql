-- No CTEs in a view that others join: PostgreSQL would plan it by itself, and the join could not use the table's key.
select
    symbol,

    open,
    high,
    low,
    close,
    volume,
    quote_volume,
    trade_count,
    taker_buy_volume,
    taker_buy_quote_volume,

    open_time,
    close_time,
    updated_at
from {{ source('exchange', 'raw_klines') }}
