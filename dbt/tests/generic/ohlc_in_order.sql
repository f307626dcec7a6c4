{#- Return the candles whose open or close is outside of low..high; a test fails if there is any. -#}
{% test ohlc_in_order(model) %}
select symbol, open_time, open, high, low, close
from {{ model }}
where not (low <= open and low <= close and open <= high and close <= high)
{% endtest %}
