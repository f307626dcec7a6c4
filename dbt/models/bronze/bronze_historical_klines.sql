-- No CTE: it would keep PostgreSQL from using the table's primary key where another model joins this view.
select
    symbol,

    {{ select_candle(4, vwap=false) }},

    open_time,
    close_time,
    updated_at
from {{ source('exchange', 'raw_klines') }}
