-- Takes a chunk's claims and moves the marks of its partitions, or does nothing
-- at all: a mark proves that all claims below it were taken (docs/delivery.md,
-- sections 2 and 3).
-- KEYS     the marks
-- ARGV     ttl of a claim in ms; prefix of the claims' keys, up to the bucket;
--          the bucket that the list of shards is for; the first bucket that can
--          hold claims; the claims, 37 bytes each (shard 3, run 16, value 18);
--          the shards, 3 bytes each, whose hash may lack its expiry; then of
--          each mark what is expected of it and what it becomes
-- Answers  {-1, number of the mark that is too low, what it is, now} and has
--          written nothing, or {bucket, now, index of a claim from 0, who has
--          it, index, who has it, ...}
-- Whoever has a claim is cut after 19 bytes, one too many, so that a foreign
-- value can't blow the answer up.  Marks of more than 15 digits are none:
-- numbers are exact below 2^53 only.
local call, sub = redis.call, string.sub
local ttl, prefix = tonumber(ARGV[1]), ARGV[2]
local list_bucket, first_bucket = tonumber(ARGV[3]), tonumber(ARGV[4])
local claims, shards = ARGV[5], ARGV[6]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local marks = {}
for i = 1, #KEYS do
  local text = call('GET', KEYS[i])
  local mark = -1
  if text and #text <= 15 and string.match(text, '^%d+$') then
    mark = tonumber(text)
  end
  if mark < tonumber(ARGV[5 + 2 * i]) then return {-1, i, mark, now} end
  marks[i] = mark
end
local bucket = math.floor(now / ttl)
local current = prefix .. string.format('%.0f:', bucket)
local before = prefix .. string.format('%.0f:', bucket - 1)
local look = bucket > first_bucket
-- The list is of another bucket: each hash that is written gets its expiry.
local all = bucket ~= list_bucket
local ends = string.format('%.0f', (bucket + 2) * ttl)
local answer, n = {bucket, now}, 2
for at = 0, #claims - 37, 37 do
  local shard = sub(claims, at + 1, at + 3)
  local run = sub(claims, at + 4, at + 19)
  local holder = look and call('HGET', before .. shard, run)
  if not holder then
    local hash = current .. shard
    if call('HSETNX', hash, run, sub(claims, at + 20, at + 37)) == 0 then
      holder = call('HGET', hash, run)
    elseif all then
      call('PEXPIREAT', hash, ends)
    end
  end
  if holder then
    answer[n + 1] = at / 37
    answer[n + 2] = sub(holder, 1, 19)
    n = n + 2
  end
end
if not all then
  for at = 1, #shards - 2, 3 do
    call('PEXPIREAT', current .. sub(shards, at, at + 2), ends)
  end
end
for i = 1, #KEYS do
  if tonumber(ARGV[6 + 2 * i]) > marks[i] then
    call('SET', KEYS[i], ARGV[6 + 2 * i])
  end
end
return answer
