-- A view that other models join has no CTE, which would keep PostgreSQL from using the table's primary key in the join.
select
    symbol,
    first_trade_id,
    last_trade_id,
    is_complete,

    {{ select_candle(4) }},

    open_time,
    updated_at
from {{ source('streaming', 'fact_realtime_trades_1m') }}
