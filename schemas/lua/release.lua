-- Gives claims back whose record has an answer that does not count, each where
-- its record still has it (docs/delivery.md, section 7).
-- ARGV     ttl of a claim in ms; prefix of the claims' keys, up to the bucket;
--          the claims, 37 bytes each (shard 3, run 16, value 18)
-- Answers  how many were given back
-- A field that is no run's keeps the hash: its expiry would go with it, and
-- workers remember which hashes have one.
local call, sub = redis.call, string.sub
local ttl, prefix, claims = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local time = call('TIME')
local bucket = math.floor((time[1] * 1000 + math.floor(time[2] / 1000)) / ttl)
local n = 0
for at = 0, #claims - 37, 37 do
  local shard, run = sub(claims, at + 1, at + 3), sub(claims, at + 4, at + 19)
  for b = bucket - 1, bucket do
    local hash = prefix .. string.format('%.0f:', b) .. shard
    if call('HGET', hash, run) == sub(claims, at + 20, at + 37) then
      call('HSET', hash, '', '')
      call('HDEL', hash, run)
      n = n + 1
    end
  end
end
return n
