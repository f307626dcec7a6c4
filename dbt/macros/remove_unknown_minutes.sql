{#- Pre-hook of silver, after note_build: deletes realtime rows that were complete and no longer are.

A late trade can extend a minute's trade ids beyond those merged so far. The candle in silver is then wrong, and the new one
is incomplete: until it is complete again, or the official kline is there, silver has no row. The empty minutes of a span are
deleted likewise when the trade ids of its two candles are no longer consecutive. (No candle lies inside a span, so a realtime
row there is an empty minute.) If the official kline exists, the model inserts it in the same transaction. -#}
{% macro remove_unknown_minutes() %}
    {%- if is_incremental() %}
    ;
    with removed as (
        delete from {{ this }} as silver
        using {{ ref('bronze_realtime_klines') }} as realtime
        where
            realtime.updated_at >= {{ seen_until() }}
            and not realtime.is_complete
            and silver.symbol = realtime.symbol
            and silver.open_time = realtime.open_time
            and silver.source = 'realtime'
        returning silver.symbol, silver.open_time
    ),

    filled as (
        delete from {{ this }} as silver
        using ({{ changed_spans(seen_until()) }}) as span
        where
            not span.is_empty
            and silver.symbol = span.symbol
            and silver.open_time > span.after_time
            and silver.open_time < span.until_time
            and silver.source = 'realtime'
        returning silver.symbol, silver.open_time
    )

    insert into {{ removed_minutes() }} (symbol, open_time, removed_at)
    select symbol, open_time, {{ built_at() }} from removed
    union all
    select symbol, open_time, {{ built_at() }} from filled
    on conflict (symbol, open_time) do update set removed_at = excluded.removed_at
    {% endif -%}
{% endmacro %}
