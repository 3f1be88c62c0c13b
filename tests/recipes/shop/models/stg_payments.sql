select order_id, status from {{ ref('raw_payments') }}
