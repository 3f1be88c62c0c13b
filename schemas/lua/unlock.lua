-- Gives the lock of an apply back, if it is still ours.
-- KEYS     the lock
-- ARGV     our token
-- Answers  1: done, 0: it is not ours
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
