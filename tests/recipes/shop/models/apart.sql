{{ config(tags='apart') }}
select 1 as one
