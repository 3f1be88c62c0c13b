-- Writes branches of datasets, and the state of the build that wrote them, if
-- all is as it was seen: whole or not at all (docs/keyspace.md, section 4).
-- KEYS     `g`; `h`; `e`; of a build also its `b`
-- ARGV     the generation that was seen; the edition; the build's state; ttl of
--          `b` in ms, if it has none; then of each dataset its rid, the value
--          that was seen (empty: none) and the value
-- Answers  1: written, 0: something has moved, 2: the build is in this state
local call = redis.call
local g, h, e, b = unpack(KEYS)
local generation, edition, state, ttl = unpack(ARGV, 1, 4)
if (call('GET', g) or '') ~= generation then return 0 end
if b and call('HGET', b, 's') == state then return 2 end
for i = 5, #ARGV, 3 do
  if (call('HGET', h, ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 5, #ARGV, 3 do
  call('HSET', h, ARGV[i], ARGV[i + 2])
end
call('SET', e, edition)
if b then
  call('HSET', b, 's', state)
  if call('PTTL', b) < 0 then call('PEXPIRE', b, ttl) end
end
return 1
