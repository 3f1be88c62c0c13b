-- The next number: Redis's clock in ms, or one more than the last.  So none is
-- ever given out twice, not even by a Redis that was emptied or went back in
-- time: what readers cache is of one generation for good.
-- KEYS     `n`
-- Answers  the number
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if now <= last then now = last + 1 end
redis.call('SET', KEYS[1], string.format('%.0f', now))
return now
