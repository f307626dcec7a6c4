{#- Pre-hook of silver, after the note: gives up realtime rows that were known to be right and are no longer.

A late trade can put the end of a minute's ids beyond what is merged so far. The candle silver holds is then known to be
wrong, and the new one is not known to be right: until it is complete again, or the official kline is there, silver has
no row. In the same way the minutes of a span are given up when the ids of its two candles no longer join on. (No candle
lies inside a span, so a realtime row there is an empty minute.) Where the official kline has come meanwhile, the model
puts it in the row's place in the same transaction. -#}
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
