-- Renews the lock of an apply, if it is still ours, or takes it again if it has
-- lapsed and nobody has it.
-- KEYS     the lock
-- ARGV     our token; ms
-- Answers  1: done, 0: it is another's
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
