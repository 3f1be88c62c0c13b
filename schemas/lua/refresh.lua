-- Replaces what is kept about a schedule, if it is as it was seen.
-- KEYS     `i`
-- ARGV     the schedule's rid; what was seen; what it becomes
-- Answers  0, either way: who was too late reads again one day
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 0
