-- Sets a build's state, unless it has ended already: what has failed or was
-- canceled may still succeed.
-- KEYS     `b` of the build
-- ARGV     the state; ttl in ms, if the build has none; "1": an event of it is
--          due until the field n is emptied
-- Answers  the state before if that stays, else an empty text
local was = redis.call('HGET', KEYS[1], 's')
if was and (was == 'SUCCEEDED' or ARGV[1] ~= 'SUCCEEDED') then return was end
redis.call('HSET', KEYS[1], 's', ARGV[1])
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'n', ARGV[1]) end
if redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return ''
