-- A view that other models join has no CTE, which would keep PostgreSQL from using the table's primary key in the join.
select
    symbol,

    {{ select_candle(4, vwap=false) }},

    open_time,
    close_time,
    updated_at
from {{ source('exchange', 'raw_klines') }}
