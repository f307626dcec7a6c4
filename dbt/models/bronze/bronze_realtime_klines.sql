-- No CTEs in a view that others join: PostgreSQL would plan it by itself, and the join could not use the table's key.
select
    symbol,
    first_trade_id,
    last_trade_id,
    is_complete,

    open,
    high,
    low,
    close,
    volume,
    quote_volume,
    trade_count,
    taker_buy_volume,
    taker_buy_quote_volume,
    vwap,

    open_time,
    updated_at
from {{ source('streaming', 'fact_realtime_trades_1m') }}
