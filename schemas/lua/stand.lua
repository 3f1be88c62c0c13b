-- Moves on to where triggers stand, never back: replicas do it side by side.
-- KEYS     `t:at`
-- ARGV     seconds since 1970
-- Answers  where they stand now
local stood = tonumber(redis.call('GET', KEYS[1]) or '-1') or -1
if stood >= tonumber(ARGV[1]) then return tostring(stood) end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
