-- Overwrites a claim where it was found, the bucket before first, if whoever
-- has it is still the one that was seen (docs/keyspace.md, section 6).
-- ARGV     ttl of a claim in ms; prefix of the claims' keys, up to the bucket;
--          shard; run; the holder that was seen, cut after 19 bytes; the value
-- Answers  1: it is ours, or the holder by now, cut likewise
-- The key has Redis's bucket in it, so it can't be among KEYS.
local ttl, prefix, shard, run = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local seen, value = ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = math.floor(now / ttl)
for b = bucket - 1, bucket do
  local hash = prefix .. string.format('%.0f:', b) .. shard
  local holder = redis.call('HGET', hash, run)
  if holder then
    holder = string.sub(holder, 1, 19)
    if holder ~= seen then return holder end
    redis.call('HSET', hash, run, value)
    return 1
  end
end
local hash = prefix .. string.format('%.0f:', bucket) .. shard
redis.call('HSET', hash, run, value)
redis.call('PEXPIREAT', hash, string.format('%.0f', (bucket + 2) * ttl))
return 1
