-- Renews the lock of an apply, if it is still ours.
-- KEYS     the lock
-- ARGV     our token; ms
-- Answers  1: done, 0: it is not ours
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
