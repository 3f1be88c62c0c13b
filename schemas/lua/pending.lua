-- Stores a run that is about to be published (docs/keyspace.md, section 5).
-- KEYS     `r` of the run; `x` of its schedule
-- ARGV     the run's JSON; view.ttl in ms; its member of `x`
-- Answers  nil: stored, or the run that is there, which stays: it is the
--          idempotency record
local json, ttl, member = ARGV[1], ARGV[2], ARGV[3]
local old = redis.call('SET', KEYS[1], json, 'NX', 'GET', 'PX', ttl)
if old then return old end
redis.call('ZADD', KEYS[2], 0, member)
redis.call('PEXPIRE', KEYS[2], ttl)
return false
