-- Fields of a hash, as far as they fit; at least one.
-- KEYS     the hash
-- ARGV     bytes of a value, and of all together; then the fields
-- Answers  the values in order (nil: not there), fewer where they don't fit; of
--          a value that is larger its size, an integer
local out, max = {}, tonumber(ARGV[1])
local left = max
for i = 2, #ARGV do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value and #value > max then
    value = #value
  elseif value then
    left = left - #value
    if left < 0 and #out > 0 then break end
  end
  out[#out + 1] = value
end
return out
