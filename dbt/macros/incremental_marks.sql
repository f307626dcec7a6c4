{#-
Incremental builds by change time that miss no row, however late it is committed, and read few rows twice.

Models that read the services' tables. Their updated_at is the start of a transaction, so a row can become visible with a time
before a run that did not see it. Each run therefore records `seen_until`: the start of the oldest transaction that is open in
the database, or its own start. Every earlier change was visible to the run; the next run reads changes at or after
`seen_until`. (Only members of pg_read_all_stats see the transactions of other roles. Any other role records a time ten minutes
back; the timeouts of the services' roles end every transaction before that.)

Models that read silver. Builds of one model are serialised by its row in change_marks, and each gives its rows one `built_at`
as their updated_at. Builds are committed in the order of these times, so gold has seen all of silver up to the built_at that
it read.

The row in change_marks is written in the transaction that builds the model, before the model's rows are read.
`removed_minutes` lists the rows deleted from silver for gold, because a deleted row has no change time.
-#}

{#- The table with a row for each model: seen_until and built_at of its last build. -#}
{% macro change_marks() -%} {{ target.schema }}.change_marks {%- endmacro %}

{#- The table of the minutes that were deleted from silver. -#}
{% macro removed_minutes() -%} {{ target.schema }}.removed_minutes {%- endmacro %}

{#- Hook at the start of a run: creates both tables. -#}
{% macro create_incremental_marks() %}
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

{#- The time from which this model reads changes, as a literal, so that the planner can estimate their number. -#}
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

{#- The updated_at of the rows of this build. -#}
{% macro built_at() -%}
    (select built_at from {{ change_marks() }} where model = '{{ this.identifier }}')
{%- endmacro %}

{#- Pre-hook of a model that reads bronze. The five seconds are for a transaction that has started but is not listed yet. -#}
{% macro note_build_from_bronze() %}
    {{ note_build("
        select
            case
                when pg_has_role('pg_read_all_stats', 'usage') then least(now(), min(xact_start)) - interval '5 seconds'
                else now() - interval '10 minutes'
            end
        from pg_stat_activity
        where datname = current_database() and usename not in (current_user, 'reader')  -- neither can write to the services' tables
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

{#- Write the row of this build in change_marks; `seen_until` is a query. -#}
{% macro note_build(seen_until) %}
    insert into {{ change_marks() }} as mark (model, seen_until, built_at)
    values ('{{ this.identifier }}', ({{ seen_until }}), clock_timestamp())
    on conflict (model) do update set
        seen_until = excluded.seen_until,
        built_at = greatest(clock_timestamp(), mark.built_at + interval '1 microsecond')
{% endmacro %}

{#- Post-hook: a new table has no statistics, and without them the next run would scan the whole table. -#}
{% macro analyze_new_table() %}
    {%- if not is_incremental() %} analyze {{ this }} {% endif -%}
{% endmacro %}

{#- Post-hook of silver: without statistics the planner assumes that removed_minutes has many rows. -#}
{% macro analyze_removed_minutes() %}
    analyze {{ removed_minutes() }}
{% endmacro %}
