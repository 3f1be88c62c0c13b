-- A step of HSCAN.
-- KEYS     the hash
-- ARGV     bytes of all values together; cursor; count
-- Answers  the next cursor, and names and values in turn; nil instead of a
--          value that did not fit
local answer = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local list, left = answer[2], tonumber(ARGV[1])
for i = 2, #list, 2 do
  left = left - #list[i]
  if left < 0 then list[i] = false end
end
return answer
