{#- Fails for every candle whose open or close lies outside low..high. -#}
{% test ohlc_in_order(model) %}
select symbol, open_time, open, high, low, close
from {{ model }}
where not (low <= open and low <= close and open <= high and close <= high)
{% endtest %}
