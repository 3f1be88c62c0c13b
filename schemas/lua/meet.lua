-- A trigger that fires says that it is there, or that it goes, and hears who is.
-- KEYS     `t:who`
-- ARGV     its name; ms behind which who has said nothing is gone, 0: it goes
-- Answers  the names of those who are there
local call = redis.call
local key, name, gone = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if gone == 0 then
  call('HDEL', key, name)
  return {}
end
call('HSET', key, name, string.format('%.0f', now + gone))
call('PEXPIRE', key, gone)
local said, there = call('HGETALL', key), {}
for i = 1, #said, 2 do
  if (tonumber(said[i + 1]) or 0) > now then
    there[#there + 1] = said[i]
  else
    call('HDEL', key, said[i])
  end
end
return there
