-- No CTE: it would keep PostgreSQL from using the table's primary key where another model joins this view.
select
    symbol,
    first_trade_id,
    last_trade_id,
    is_complete,

    {{ select_candle(4) }},

    open_time,
    updated_at
from {{ source('streaming', 'fact_realtime_trades_1m') }}
