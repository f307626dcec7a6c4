{#- Fails for every row that has a null in any of `columns`. One query for all of them. -#}
{% test no_nulls(model, columns) %}
select *
from {{ model }}
where ({{ columns | join(', ') }}) is null or not ({{ columns | join(', ') }}) is not null
{% endtest %}
