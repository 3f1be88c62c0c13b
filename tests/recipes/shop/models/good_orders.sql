{{ config(materialized='ephemeral') }}
select order_id, customer_id, cents from {{ ref('paid_orders') }} where cents > 0
