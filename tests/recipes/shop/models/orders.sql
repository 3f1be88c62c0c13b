select o.order_id, o.customer_id, o.cents, c.country from {{ ref('good_orders') }} o join {{ ref('stg_customers') }} c using (customer_id)
