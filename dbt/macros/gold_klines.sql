{#- The start of the bucket of `minutes` minutes, counted from midnight UTC, that contains `open_time`. -#}
{% macro bucket_of(open_time, minutes) -%}
    date_bin('{{ minutes }} minutes', {{ open_time }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}

{#- Query for the candles of `minutes` minutes, rolled up from those of one minute; only buckets with all of their minutes.

A bucket with a minute that was changed or removed in silver is rebuilt from all of its minutes. The minutes are
joined by equality, so that PostgreSQL can use the index for a few buckets and a hash join for a year of them. array_agg,
ordered by time, gives open and close. -#}
{% macro gold_klines(minutes) %}
{%- set since = seen_until() -%}
{%- set types = candle_columns() -%}
with

changed as (

    select symbol, open_time
    from {{ ref('silver_klines_1m') }}
    where updated_at >= {{ since }}
    union all
    select symbol, open_time
    from {{ removed_minutes() }}
    where removed_at >= {{ since }}

),

touched as (

    select distinct symbol, {{ bucket_of('open_time', minutes) }} as bucket_time
    from changed

),

rolled_up as (

    select
        touched.symbol,
        (array_agg(silver.open order by silver.open_time))[1]::{{ types.open }} as open,
        max(silver.high)::{{ types.high }} as high,
        min(silver.low)::{{ types.low }} as low,
        (array_agg(silver.close order by silver.open_time desc))[1]::{{ types.close }} as close,
        sum(silver.volume)::{{ types.volume }} as volume,
        sum(silver.quote_volume)::{{ types.quote_volume }} as quote_volume,
        sum(silver.trade_count)::{{ types.trade_count }} as trade_count,
        sum(silver.taker_buy_volume)::{{ types.taker_buy_volume }} as taker_buy_volume,
        sum(silver.taker_buy_quote_volume)::{{ types.taker_buy_quote_volume }} as taker_buy_quote_volume,
        (sum(silver.quote_volume) / nullif(sum(silver.volume), 0))::{{ types.vwap }} as vwap,
        touched.bucket_time as open_time
    from touched
    cross join generate_series(0, {{ minutes - 1 }}) as minute_of_bucket
    inner join {{ ref('silver_klines_1m') }} as silver
        on silver.symbol = touched.symbol
        and silver.open_time = touched.bucket_time + minute_of_bucket * interval '1 minute'
    group by touched.symbol, touched.bucket_time
    having count(*) = {{ minutes }}

)

select
    symbol,

    {{ select_candle(4) }},

    open_time,
    {{ built_at() }} as updated_at
from rolled_up
{%- if is_incremental() %}
where not {{ is_unchanged('rolled_up', candle_columns() | list) }}
{%- endif %}
{% endmacro %}

{#- Pre-hook, after note_build: deletes the buckets that have lost a minute in silver. -#}
{% macro remove_broken_buckets(minutes) %}
    {%- if is_incremental() %}
    ;
    delete from {{ this }} as gold
    using (
        select distinct symbol, {{ bucket_of('open_time', minutes) }} as bucket_time
        from {{ removed_minutes() }}
        where removed_at >= {{ seen_until() }}
    ) as touched
    where
        gold.symbol = touched.symbol
        and gold.open_time = touched.bucket_time
        and (
            select count(*)
            from {{ ref('silver_klines_1m') }} as silver
            where
                silver.symbol = touched.symbol
                and silver.open_time >= touched.bucket_time
                and silver.open_time < touched.bucket_time + interval '{{ minutes }} minutes'
        ) < {{ minutes }}
    {% endif -%}
{% endmacro %}
