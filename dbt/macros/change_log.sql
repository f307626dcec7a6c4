{#-
Incremental by change time, and exact: no row is missed however late it is committed, and none is read again without
need.

Reading the services' tables. Their updated_at is the start of a transaction, so a row may appear with a time that lies
before the run that could not see it yet. Each run therefore notes `seen_until`: the start of the oldest
transaction then open in the database, or its own start. Every change before that was visible to it; the next run reads
what changed at or after. (Other roles' transactions are shown to members of pg_read_all_stats. A role that is not one
goes back ten minutes instead, which no transaction of the services reaches: see the roles' timeouts.)

Reading silver. Builds of one model take turns on its row here, and each gives its rows one `built_at` as their
updated_at: builds are committed in the order of their times. So gold has seen all of silver up to the built_at it
found.

The note is made in the transaction that builds the model, before its rows are read: both last, or neither does.
`removed_minutes` tells gold of the rows that silver gave up: a row that is gone has no change time to be found by.
-#}

{% macro change_marks() -%} {{ target.schema }}.change_marks {%- endmacro %}

{% macro removed_minutes() -%} {{ target.schema }}.removed_minutes {%- endmacro %}

{#- On run start. -#}
{% macro create_change_log() %}
    create table if not exists {{ change_marks() }} (
        model       text primary key,
        seen_until  timestamptz not null,
        built_at    timestamptz not null
    );
    create table if not exists {{ removed_minutes() }} (
        symbol      text,
        open_time   timestamptz,
        removed_at  timestamptz not null,
        primary key (symbol, open_time)
    );
    create index if not exists removed_minutes_removed_at on {{ removed_minutes() }} (removed_at);
{% endmacro %}

{#- The time since which this model looks for changes; a literal, so that the planner knows how few they are. -#}
{% macro seen_until() %}
    {%- set mark = none -%}
    {%- if execute and is_incremental() -%}
        {%- set query -%}
            select seen_until::text from {{ change_marks() }} where model = '{{ this.identifier }}'
        {%- endset -%}
        {%- set mark = run_query(query).columns[0].values() | first -%}
    {%- endif -%}
    timestamptz '{{ mark or "-infinity" }}'
{%- endmacro %}

{#- The change time of the rows of this build. -#}
{% macro built_at() -%}
    (select built_at from {{ change_marks() }} where model = '{{ this.identifier }}')
{%- endmacro %}

{#- Pre-hook of a model that reads bronze. Five seconds allow for a transaction that has begun but is not shown yet. -#}
{% macro note_build_from_bronze() %}
    {{ note_build("
        select
            case
                when pg_has_role('pg_read_all_stats', 'usage') then least(now(), min(xact_start)) - interval '5 seconds'
                else now() - interval '10 minutes'
            end
        from pg_stat_activity
        where datname = current_database() and usename not in (current_user, 'reader')  -- neither may write there
    ") }}
{% endmacro %}

{#- Pre-hook of a model that reads silver. -#}
{% macro note_build_from_silver() %}
    {{ note_build("
        select built_at + interval '1 microsecond'
        from " ~ change_marks() ~ "
        where model = '" ~ ref('silver_klines_1m').identifier ~ "'
    ") }}
{% endmacro %}

{% macro note_build(seen_until) %}
    insert into {{ change_marks() }} as mark (model, seen_until, built_at)
    values ('{{ this.identifier }}', ({{ seen_until }}), clock_timestamp())
    on conflict (model) do update set
        seen_until = excluded.seen_until,
        built_at = greatest(clock_timestamp(), mark.built_at + interval '1 microsecond')
{% endmacro %}

{#- Post-hook: a table just filled has no statistics, and without them the next run would scan it. -#}
{% macro analyze_new_table() %}
    {%- if not is_incremental() %} analyze {{ this }} {% endif -%}
{% endmacro %}

{#- Post-hook of silver: it is nearly always empty, which the planner believes only after it was told. -#}
{% macro analyze_removed_minutes() %}
    analyze {{ removed_minutes() }}
{% endmacro %}
