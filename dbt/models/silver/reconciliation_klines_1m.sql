{{
    config(
        unique_key=['symbol', 'open_time'],
        indexes=[{'columns': ['symbol', 'status']}],
        pre_hook='{{ note_build_from_bronze() }}',
        post_hook='{{ analyze_new_table() }}',
    )
}}

{%- set since = seen_until() %}
{%- set exact = {
    'open': 'numeric(27, 8)',
    'high': 'numeric(27, 8)',
    'low': 'numeric(27, 8)',
    'close': 'numeric(27, 8)',
    'volume': 'numeric(38, 8)',
    'trade_count': 'bigint',
    'taker_buy_volume': 'numeric(38, 8)',
} %}
{%- set truncated = {
    'quote_volume': 'numeric(54, 16)',
    'taker_buy_quote_volume': 'numeric(54, 16)',
} %}
{%- set differences = [] %}

with

changed as (

    select symbol, open_time
    from {{ ref('bronze_historical_klines') }}
    where updated_at >= {{ since }}
    union
    select symbol, open_time
    from {{ ref('bronze_realtime_klines') }}
    where updated_at >= {{ since }}

),

compared as (

    select
        changed.symbol,
        official.symbol is not null as has_official,
        realtime.symbol is not null as has_realtime,
        realtime.is_complete,

        realtime.trade_count,
        {%- for measure, type in (exact.items() | list) + (truncated.items() | list) %}
        (realtime.{{ measure }} - official.{{ measure }})::{{ type }} as {{ measure }}_difference,
        {%- do differences.append(measure ~ '_difference') %}
        {%- endfor %}

        changed.open_time
    from changed
    left join {{ ref('bronze_historical_klines') }} as official
        on official.symbol = changed.symbol and official.open_time = changed.open_time
    left join {{ ref('bronze_realtime_klines') }} as realtime
        on realtime.symbol = changed.symbol and realtime.open_time = changed.open_time

),

judged as (

    select
        *,
        case
            when not has_realtime then 'official_only'
            when not is_complete then 'incomplete'
            when not has_official then 'realtime_only'
            -- The exchange cuts each trade's price x quantity to 8 decimals before it adds them up; the realtime candle
            -- does not. So its quote volumes may be larger, by less than one unit of the eighth decimal a trade.
            when
                {%- for measure in exact %}
                {{ measure }}_difference = 0 and
                {%- endfor %}
                {%- for measure in truncated %}
                {{ measure }}_difference >= 0 and {{ measure }}_difference < trade_count * 0.00000001
                {{- ' and' if not loop.last }}
                {%- endfor %}
                then 'equal'
            else 'different'
        end as status
    from compared

)

select
    symbol,
    status,

    {%- for difference in differences %}
    {{ difference }},
    {%- endfor %}

    open_time,
    {{ built_at() }} as updated_at
from judged
{%- if is_incremental() %}
where not {{ is_unchanged('judged', ['status'] + differences) }}
{%- endif %}
