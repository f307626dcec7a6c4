{#- Whether the model holds a row with the same key and the same `columns` as `row` already. Rows that do not differ are
left alone, so that their updated_at keeps telling when they changed last and nothing downstream is built again. -#}
{% macro is_unchanged(row, columns) -%}
    exists (
        select
        from {{ this }} as built
        where
            built.symbol = {{ row }}.symbol
            and built.open_time = {{ row }}.open_time
            and (built.{{ columns | join(', built.') }})
                is not distinct from ({{ row }}.{{ columns | join(', ' ~ row ~ '.') }})
    )
{%- endmacro %}

{#- The measures of a candle, in the order of every table. -#}
{% macro measures() %}
    {{ return([
        'open', 'high', 'low', 'close', 'volume', 'quote_volume', 'trade_count',
        'taker_buy_volume', 'taker_buy_quote_volume', 'vwap',
    ]) }}
{% endmacro %}
