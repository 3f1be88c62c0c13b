-- Writes branches of datasets, and what is said of the build, job or commits that
-- wrote them, if all is as it was seen: whole or not at all (docs/keyspace.md,
-- section 4).
-- KEYS     `h`; `e`; of a build its `b`, of a job its build's `j`, of each commit
--          its `t:done`; of a job the leases of its outputs
-- ARGV     `g`, which is no KEY since not all who come here may write it; the
--          generation that was seen; the edition; the field of `b`, `j` or
--          `t:done`; its value; ttl of that key in ms, if it has none; the number
--          that the leases must have; how many keys have the field; `h:at`, for
--          people alone, so whoever may not write it leaves it; how many datasets
--          there are; of each its rid, the value that was seen (empty: none) and
--          the value; then fields of `h:at`, each with the head that is new
-- Answers  1: written, 0: something has moved, 2: that is said already, 3: a
--          lease is lost
local call = redis.call
local h, e = unpack(KEYS, 1, 2)
local g, generation, edition, field, value, ttl, number = unpack(ARGV, 1, 7)
local said = 2 + tonumber(ARGV[8])
local at, moves = ARGV[9], 11 + 3 * tonumber(ARGV[10])
if (call('GET', g) or '') ~= generation then return 0 end
for i = 3, said do
  if call('HGET', KEYS[i], field) == value then return 2 end
end
for i = said + 1, #KEYS do
  if call('GET', KEYS[i]) ~= number then return 3 end
end
for i = 11, moves - 1, 3 do
  if (call('HGET', h, ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 11, moves - 1, 3 do
  call('HSET', h, ARGV[i], ARGV[i + 2])
end
local clock = call('TIME')
local now = clock[1] .. string.format('%03d', math.floor(tonumber(clock[2]) / 1000))
for i = moves, #ARGV, 2 do
  redis.pcall('HSET', at, ARGV[i], now .. ' ' .. ARGV[i + 1])
end
call('SET', e, edition)
for i = 3, said do
  call('HSET', KEYS[i], field, value)
  if call('PTTL', KEYS[i]) < 0 then call('PEXPIRE', KEYS[i], ttl) end
end
return 1
