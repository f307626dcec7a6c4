{#- Return the rows with a null in any of `columns`, in one query. -#}
{% test no_nulls(model, columns) %}
select *
from {{ model }}
where ({{ columns | join(', ') }}) is null or not ({{ columns | join(', ') }}) is not null
{% endtest %}
