{#- Return the candles with a negative volume or count, or with a taker volume above the total. -#}
{% test volumes_plausible(model) %}
select symbol, open_time, volume, quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume
from {{ model }}
where
    not (
        trade_count >= 0
        and taker_buy_volume between 0 and volume
        and taker_buy_quote_volume between 0 and quote_volume
    )
{% endtest %}
