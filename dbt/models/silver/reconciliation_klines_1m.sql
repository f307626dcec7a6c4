{{
    config(
        unique_key=['symbol', 'open_time'],
        indexes=[{'columns': ['symbol', 'status']}],
        pre_hook='{{ note_build_from_bronze() }} {{ remove_uncompared_minutes() }}',
        post_hook='{{ analyze_new_table() }}',
    )
}}

{%- set since = seen_until() %}
{%- set types = candle_columns(vwap=false) %}
{%- set truncated = ['quote_volume', 'taker_buy_quote_volume'] %}
{%- set exact = types | reject('in', truncated) | list %}
{%- set differences = [] %}

with

official_changed as (

    select symbol, open_time
    from {{ ref('bronze_historical_klines') }}
    where updated_at >= {{ since }}

),

spans as (

    {{ changed_spans(since) }}

),

-- A late or corrected kline is compared with its own minute only, however long the span without trades around it is.
empty as (

    {{ empty_minutes('spans') }}
    {%- if is_incremental() %}
    union
    select symbol, minute_time, price, 0, changed_at
    from ({{ spans_around('official_changed') }}) as span
    where is_empty
    {%- endif %}

),

changed as (

    select symbol, open_time
    from official_changed
    union
    select symbol, open_time
    from {{ ref('bronze_realtime_klines') }}
    where updated_at >= {{ since }}
    union
    select symbol, open_time
    from empty
    {%- if is_incremental() %}
    union
    select built.symbol, built.open_time  -- was an empty minute, no longer is
    from {{ this }} as built
    inner join spans as span
        on span.symbol = built.symbol and built.open_time > span.after_time and built.open_time < span.until_time
    where not span.is_empty and built.status <> 'official_only'
    {%- endif %}

),

compared as (

    select
        changed.symbol,
        official.symbol is not null as has_official,
        coalesce(candle.symbol, empty.symbol) is not null as has_realtime,
        coalesce(candle.is_complete, true) as is_complete,

        coalesce(candle.trade_count, 0) as trade_count,
        {%- for measure in exact + truncated %}
        {%- set of_empty = 'empty.price' if measure in ('open', 'high', 'low', 'close') else 'empty.nothing' %}
        (coalesce(candle.{{ measure }}, {{ of_empty }}) - official.{{ measure }})::{{ types[measure] }}
            as {{ measure }}_difference,
        {%- do differences.append(measure ~ '_difference') %}
        {%- endfor %}

        changed.open_time
    from changed
    left join {{ ref('bronze_historical_klines') }} as official
        on official.symbol = changed.symbol and official.open_time = changed.open_time
    left join {{ ref('bronze_realtime_klines') }} as candle
        on candle.symbol = changed.symbol and candle.open_time = changed.open_time
    left join empty
        on empty.symbol = changed.symbol and empty.open_time = changed.open_time

),

classified as (

    select
        *,
        case
            when not has_realtime then 'official_only'
            when not is_complete then 'incomplete'
            when not has_official then 'realtime_only'
            -- The exchange truncates price x quantity of each trade to 8 decimals before it sums them; the realtime
            -- candle does not. So its quote volumes may be larger, by less than 10^-8 for each trade.
            when
                {%- for measure in exact %}
                {{ measure }}_difference = 0 and
                {%- endfor %}
                {%- for measure in truncated %}
                {{ measure }}_difference >= 0
                and ({{ measure }}_difference = 0 or {{ measure }}_difference < trade_count * 0.00000001)
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
from classified
{%- if is_incremental() %}
where not {{ is_unchanged('classified', ['status'] + differences) }}
{%- endif %}
