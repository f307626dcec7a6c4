{{
    config(
        unique_key=['symbol', 'open_time'],
        indexes=[{'columns': ['updated_at']}],
        pre_hook='{{ note_build_from_bronze() }} {{ remove_unknown_minutes() }}',
        post_hook=['{{ analyze_new_table() }}', '{{ analyze_removed_minutes() }}'],
    )
}}

{%- set since = seen_until() %}

with

official as (

    select *
    from {{ ref('bronze_historical_klines') }}
    where updated_at >= {{ since }}

),

realtime as (

    select *
    from {{ ref('bronze_realtime_klines') }} as candle
    where
        updated_at >= {{ since }}
        and is_complete
        and not exists (
            select
            from {{ ref('bronze_historical_klines') }} as kline
            where kline.symbol = candle.symbol and kline.open_time = candle.open_time
        )

),

spans as (

    {{ changed_spans(since) }}

),

empty as (

    {{ empty_minutes('spans') }}
        and not exists (
            select
            from {{ ref('bronze_historical_klines') }} as kline
            where kline.symbol = span.symbol and kline.open_time = minute.open_time
        )

),

chosen as (

    select
        symbol,
        'official' as source,

        {{ select_candle(8, vwap=false) }},
        (quote_volume / nullif(volume, 0))::numeric(27, 8) as vwap,

        open_time,
        updated_at as source_updated_at
    from official
    union all
    select
        symbol,
        'realtime',

        {{ select_candle(8) }},

        open_time,
        updated_at
    from realtime
    union all
    select
        symbol,
        'realtime',

        price,
        price,
        price,
        price,
        0::numeric(38, 8),
        0::numeric(54, 16),
        0::bigint,
        0::numeric(38, 8),
        0::numeric(54, 16),
        null::numeric(27, 8),

        open_time,
        changed_at
    from empty

)

select
    *,
    {{ built_at() }} as updated_at
from chosen
{%- if is_incremental() %}
where not {{ is_unchanged('chosen', ['source'] + candle_columns() | list) }}
{%- endif %}
