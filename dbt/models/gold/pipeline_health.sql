{{ config(materialized='view') }}

{%- set statuses = ['equal', 'different', 'incomplete', 'realtime_only', 'official_only'] %}
{#- Sources instead of bronze: each run recreates the views of bronze, and drops the views that depend on them. #}
{%- set hops = {
    'realtime': source('streaming', 'fact_realtime_trades_1m'),
    'official': source('exchange', 'raw_klines'),
    'silver': ref('silver_klines_1m'),
    'gold': ref('gold_klines_5m'),
} %}

with

reconciled as (

    select
        symbol,
        {%- for status in statuses %}
        count(*) filter (where status = '{{ status }}') as {{ status }}_minutes{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('reconciliation_klines_1m') }}
    group by symbol

),

gaps as (

    select symbol, sum(missing_count)::bigint as missing_trades
    from {{ source('streaming', 'trade_id_gaps') }}
    group by symbol

)

select
    symbols.symbol,
    symbols.status,
    symbols.followed_since,
    symbols.retired_at,

    {%- for status in statuses %}
    coalesce(reconciled.{{ status }}_minutes, 0) as {{ status }}_minutes,
    {%- endfor %}
    coalesce(gaps.missing_trades, 0) as missing_trades
    {%- for hop, relation in hops.items() %},
    (select max(open_time) from {{ relation }} as hop where hop.symbol = symbols.symbol) as newest_{{ hop }}_time
    {%- endfor %}
from {{ source('streaming', 'symbols') }} as symbols
left join reconciled using (symbol)
left join gaps using (symbol)
