{% macro cents(column) %}cast(round({{ column }} * 100) as integer){% endmacro %}
{% macro euros(column) %}{{ scaled(column, 100) }}{% endmacro %}
{% macro scaled(column, by) %}({{ column }} / {{ by }}){% endmacro %}
