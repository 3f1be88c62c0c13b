{{ config(materialized='view') }}
select customer_id, country from {{ source('crm', 'customers') }}
