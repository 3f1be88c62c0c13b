select order_id, customer_id, {{ cents('amount') }} as cents from {{ ref('raw_orders') }}
