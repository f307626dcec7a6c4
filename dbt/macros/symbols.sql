{#- The configured symbols, as the services read them from SYMBOLS. -#}
{% macro symbols() %}
    {{ return(env_var('SYMBOLS', 'BTCUSDT,ETHUSDT,BNBUSDT').replace(' ', '').split(',')) }}
{% endmacro %}
