{{ config(materialized='ephemeral') }}
select o.* from {{ ref('stg_orders') }} o join {{ ref('stg_payments') }} p using (order_id) where p.status = 'paid'
