{#-
Empty minutes (minutes without trades), proved by the trade ids. If the last trade id of a candle and the first one of the
next candle are consecutive, no trade happened between the two, and each minute between them is empty. Ids that were verified
absent at the exchange do not count as missing. The candle of an empty minute has the exchange's own form: open = high = low =
close = the close of the candle before, and zero volumes.

A span is the time between two neighbouring candles. It depends only on these two candles and on the verified absent ids
between them, so only changes of these have to be found. A span longer than `longest_empty_days` is not filled: the symbol was
halted, or a trade had a wrong time.
-#}

{% macro longest_empty_days() -%} 31 {%- endmacro %}

{#- Query for the spans of at least one minute of which a candle or a verified absent id changed at or after `since`: symbol,
after_time and until_time (open times of the two candles), price (the close before the span), changed_at, is_empty. -#}
{% macro changed_spans(since) -%}
    {%- if is_incremental() -%}
    select {{ span_columns('before', 'until') }}
    from (
        select symbol, open_time
        from {{ ref('bronze_realtime_klines') }}
        where updated_at >= {{ since }}
        union
        select changed.symbol, following.open_time
        from {{ ref('bronze_realtime_klines') }} as changed
        cross join lateral (
            select candle.open_time
            from {{ ref('bronze_realtime_klines') }} as candle
            where candle.symbol = changed.symbol and candle.open_time > changed.open_time
            order by candle.open_time
            limit 1
        ) as following
        where changed.updated_at >= {{ since }}
        union
        select absent.symbol, following.open_time
        from {{ source('streaming', 'verified_absent_ids') }} as absent
        cross join lateral (
            select candle.open_time
            from {{ ref('bronze_realtime_klines') }} as candle
            where candle.symbol = absent.symbol and candle.last_trade_id < absent.first_id
            order by candle.open_time desc
            limit 1
        ) as preceding
        cross join lateral (
            select candle.open_time
            from {{ ref('bronze_realtime_klines') }} as candle
            where candle.symbol = absent.symbol and candle.open_time > preceding.open_time
            order by candle.open_time
            limit 1
        ) as following
        where absent.verified_at >= {{ since }}
    ) as span
    inner join {{ ref('bronze_realtime_klines') }} as until
        on until.symbol = span.symbol and until.open_time = span.open_time
    cross join lateral (
        select candle.open_time, candle.close, candle.last_trade_id, candle.updated_at
        from {{ ref('bronze_realtime_klines') }} as candle
        where candle.symbol = span.symbol and candle.open_time < span.open_time
        order by candle.open_time desc
        limit 1
    ) as before
    where before.open_time < until.open_time - interval '1 minute'
    {%- else -%}
    select {{ span_columns('before', 'until') }}
    from (
        select symbol, open_time, lead(open_time) over neighbours as next_open_time, close, last_trade_id, updated_at
        from {{ ref('bronze_realtime_klines') }}
        window neighbours as (partition by symbol order by open_time)
    ) as before
    inner join {{ ref('bronze_realtime_klines') }} as until
        on until.symbol = before.symbol and until.open_time = before.next_open_time
    where before.open_time < before.next_open_time - interval '1 minute'
    {%- endif -%}
{%- endmacro %}

{#- Query for the spans that contain `minutes`, a relation with symbol and open_time of minutes without a candle. -#}
{% macro spans_around(minutes) -%}
    select
        minute.open_time as minute_time,
        {{ span_columns('before', 'until') }}
    from {{ minutes }} as minute
    cross join lateral (
        select candle.symbol, candle.open_time, candle.first_trade_id, candle.updated_at
        from {{ ref('bronze_realtime_klines') }} as candle
        where candle.symbol = minute.symbol and candle.open_time >= minute.open_time
        order by candle.open_time
        limit 1
    ) as until
    cross join lateral (
        select candle.open_time, candle.close, candle.last_trade_id, candle.updated_at
        from {{ ref('bronze_realtime_klines') }} as candle
        where candle.symbol = minute.symbol and candle.open_time < minute.open_time
        order by candle.open_time desc
        limit 1
    ) as before
    where until.open_time > minute.open_time
{%- endmacro %}

{#- The columns of a span between the candles `before` and `until`. -#}
{% macro span_columns(before, until) -%}
    {{ until }}.symbol,
    {{ before }}.open_time as after_time,
    {{ until }}.open_time as until_time,
    {{ before }}.close as price,
    greatest({{ before }}.updated_at, {{ until }}.updated_at) as changed_at,
    {{ until }}.open_time - {{ before }}.open_time <= interval '{{ longest_empty_days() }} days'
        and case
            when {{ until }}.first_trade_id = {{ before }}.last_trade_id + 1 then true
            when {{ until }}.first_trade_id <= {{ before }}.last_trade_id then false
            else {{ until }}.first_trade_id - {{ before }}.last_trade_id - 1 = (
                select
                    coalesce(
                        sum(
                            least(absent.last_id, {{ until }}.first_trade_id - 1)
                            - greatest(absent.first_id, {{ before }}.last_trade_id + 1) + 1
                        ), 0
                    )
                from {{ source('streaming', 'verified_absent_ids') }} as absent
                where
                    absent.symbol = {{ until }}.symbol
                    and absent.first_id < {{ until }}.first_trade_id
                    and absent.last_id > {{ before }}.last_trade_id
            )
        end as is_empty
{%- endmacro %}

{#- Query for the minutes of the empty spans among `spans`: symbol, open_time, price, nothing (0), changed_at.

Nearly all spans are short. PostgreSQL estimates 1000 rows for generate_series, for which it would scan whole tables, and 10
for unnest of an array. -#}
{% macro empty_minutes(spans) -%}
    select span.symbol, minute.open_time, span.price, 0 as nothing, span.changed_at
    from {{ spans }} as span
    cross join lateral unnest(
        array(
            select generate_series(
                span.after_time + interval '1 minute', span.until_time - interval '1 minute', interval '1 minute'
            )
        )
    ) as minute (open_time)
    where span.is_empty
{%- endmacro %}

{#- Pre-hook of the reconciliation, after note_build: deletes minutes that were empty, no longer are, and have no official kline.
The model compares those that have one. -#}
{% macro remove_uncompared_minutes() %}
    {%- if is_incremental() %}
    ;
    delete from {{ this }} as built
    using ({{ changed_spans(seen_until()) }}) as span
    where
        not span.is_empty
        and built.symbol = span.symbol
        and built.open_time > span.after_time
        and built.open_time < span.until_time
        and built.status = 'realtime_only'
    {% endif -%}
{% endmacro %}
