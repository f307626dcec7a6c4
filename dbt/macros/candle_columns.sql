{#- The measures of a candle, in the order of every table: {column: type}. `vwap` is left out where it is not stored. -#}
{% macro candle_columns(vwap=true) %}
    {%- set columns = {
        'open': 'numeric(27, 8)',
        'high': 'numeric(27, 8)',
        'low': 'numeric(27, 8)',
        'close': 'numeric(27, 8)',
        'volume': 'numeric(38, 8)',
        'quote_volume': 'numeric(54, 16)',
        'trade_count': 'bigint',
        'taker_buy_volume': 'numeric(38, 8)',
        'taker_buy_quote_volume': 'numeric(54, 16)',
    } -%}
    {%- if vwap %}{% do columns.update({'vwap': 'numeric(27, 8)'}) %}{% endif -%}
    {{ return(columns) }}
{% endmacro %}

{#- The same columns as the items of a select, each on a line of its own, indented by `indent` spaces. -#}
{% macro select_candle(indent, vwap=true) -%}
    {{ candle_columns(vwap) | join(',\n' ~ ' ' * indent) }}
{%- endmacro %}
