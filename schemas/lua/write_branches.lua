-- Writes branches of datasets, and what is said of the build or job that wrote
-- them, if all is as it was seen: whole or not at all (docs/keyspace.md, section
-- 4).
-- KEYS     `h`; `e`; of a build its `b`, of a job its build's `j` and the leases
--          of its outputs
-- ARGV     `g`, which is no KEY since not all who come here may write it; the
--          generation that was seen; the edition; the field of `b` or `j`; its
--          value; ttl of that key in ms, if it has none; the number that the
--          leases must have; then of each dataset its rid, the value that was
--          seen (empty: none) and the value
-- Answers  1: written, 0: something has moved, 2: that is said already, 3: a
--          lease is lost
local call = redis.call
local h, e, said = unpack(KEYS, 1, 3)
local g, generation, edition, field, value, ttl, number = unpack(ARGV, 1, 7)
if (call('GET', g) or '') ~= generation then return 0 end
if said and call('HGET', said, field) == value then return 2 end
for i = 4, #KEYS do
  if call('GET', KEYS[i]) ~= number then return 3 end
end
for i = 8, #ARGV, 3 do
  if (call('HGET', h, ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 8, #ARGV, 3 do
  call('HSET', h, ARGV[i], ARGV[i + 2])
end
call('SET', e, edition)
if said then
  call('HSET', said, field, value)
  if call('PTTL', said) < 0 then call('PEXPIRE', said, ttl) end
end
return 1
