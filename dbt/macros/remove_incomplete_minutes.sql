{#- Pre-hook of silver, after the note: gives up realtime candles that were complete and are no longer.

A late trade can put the end of a minute's ids beyond what is merged so far. The candle silver holds is then known to be
wrong, and the new one is not known to be right: until it is complete again, or the official kline is there, silver has
no row. Where the official kline has come meanwhile, the model puts it in the row's place in the same transaction. -#}
{% macro remove_incomplete_minutes() %}
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
    )
    insert into {{ removed_minutes() }} (symbol, open_time, removed_at)
    select symbol, open_time, {{ built_at() }} from removed
    on conflict (symbol, open_time) do update set removed_at = excluded.removed_at
    {% endif -%}
{% endmacro %}
