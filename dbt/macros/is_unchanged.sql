{#- Condition: the model already has a row with the key of `row` and equal `columns`. Unchanged rows are not written, so that
their updated_at stays the time of their last change and no downstream model rebuilds them. -#}
{% macro is_unchanged(row, columns) -%}
    exists (
        select
        from {{ this }} as built
        where
            built.symbol = {{ row }}.symbol
            and built.open_time = {{ row }}.open_time
            and (built.{{ columns | join(', built.') }})
                is not distinct from ({{ row }}.{{ columns | join(', ' ~ row ~ '.') }})
    )
{%- endmacro %}
