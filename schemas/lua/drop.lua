-- Takes back a run that was not published, unless somebody has written it since.
-- KEYS     `r` of the run; `x` of its schedule
-- ARGV     the JSON that was stored; its member of `x`
-- Answers  1: done, 0: it is another one by now
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[2])
return 1
