-- The first field of a hash with the hash's expiry: killed at any moment, an
-- apply leaves nothing for good.
-- KEYS     the hash
-- ARGV     ms; field; value
-- Answers  1
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
