{{ config(tags=['daily', 'finance']) }}
select sum({{ euros('cents') }}) as revenue from {{ ref('orders') }}
