{{ config(tags=['daily']) }}
select n.name, count(*) as n from {{ ref('orders') }} join {{ source('crm', 'countries') }} n on n.code = country group by 1
