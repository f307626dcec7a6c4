{#- The open time of the bucket of so many minutes, counted from midnight UTC, that holds `open_time`. -#}
{% macro bucket_of(open_time, minutes) -%}
    date_bin('{{ minutes }} minutes', {{ open_time }}, timestamptz '2000-01-01 00:00:00+00')
{%- endmacro %}

{#- Candles of `minutes` minutes from those of one minute, whole buckets only.

Touched buckets (a minute in them changed in silver or was removed) are built again from all of their minutes.
The minutes are joined by equality, which suits an index for a few buckets and a hash for a year of them.
array_agg gives open and close by time. -#}
{% macro rollup_klines(minutes) %}
{%- set since = seen_until() -%}
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
        (array_agg(silver.open order by silver.open_time))[1]::numeric(27, 8) as open,
        max(silver.high)::numeric(27, 8) as high,
        min(silver.low)::numeric(27, 8) as low,
        (array_agg(silver.close order by silver.open_time desc))[1]::numeric(27, 8) as close,
        sum(silver.volume)::numeric(38, 8) as volume,
        sum(silver.quote_volume)::numeric(54, 16) as quote_volume,
        sum(silver.trade_count)::bigint as trade_count,
        sum(silver.taker_buy_volume)::numeric(38, 8) as taker_buy_volume,
        sum(silver.taker_buy_quote_volume)::numeric(54, 16) as taker_buy_quote_volume,
        (sum(silver.quote_volume) / nullif(sum(silver.volume), 0))::numeric(27, 8) as vwap,
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
    {{ built_at() }} as updated_at
from rolled_up
{%- if is_incremental() %}
where not {{ is_unchanged('rolled_up', measures()) }}
{%- endif %}
{% endmacro %}

{#- Pre-hook, after the note: takes away the buckets that silver no longer fills. -#}
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
