-- Folds a step of one partition into the run view; `f` only grows, so repeating
-- it is harmless (docs/keyspace.md, section 5).
-- KEYS     `f`; then `r` and `x` of each run; then `b` of each build
-- ARGV     the next offset; what `f` is as far as the caller knows; view.ttl in
--          ms; the oldest member that `x` keeps; the number of runs; then JSON,
--          ttl, member, partition and offset of each run; then value and ttl of
--          each build
-- Answers  1: done, 0: `f` is lower than that, nothing was written
-- A result that is there with a lower place in the same partition stays, and
-- any of another partition: the first one counts.  One about damage in the
-- store counts for nothing beside one that isn't, and of those the last is kept
-- (schedule_run_is_damage).
local call = redis.call
local next_offset, known = tonumber(ARGV[1]), tonumber(ARGV[2])
local view_ttl, oldest, runs = ARGV[3], ARGV[4], tonumber(ARGV[5])
local folded = tonumber(call('GET', KEYS[1]) or '-1') or -1
if folded < known then return 0 end
local function damage(run)
  local cause = string.match(run, '"why":{"cause":"(%a+)"')
  return cause == 'catalogueUnreadable' or cause == 'versionUnreadable'
end
local function replaces(json, partition, offset, old)
  local p, o = string.match(old, '^{"at":"(%d+)%.(%d+)"')
  if not p then return true end
  local was = damage(old)
  if was ~= damage(json) then return was end
  if p ~= partition or o == offset then return false end
  return (tonumber(o) < tonumber(offset)) == was
end
local a = 6
for i = 1, runs do
  local r, x = KEYS[2 * i], KEYS[2 * i + 1]
  local json, ttl, member, partition, offset = unpack(ARGV, a, a + 4)
  local old = call('GET', r) or ''
  if replaces(json, partition, offset, old) then
    call('SET', r, json, 'PX', ttl)
    call('ZADD', x, 0, member)
    call('PEXPIRE', x, view_ttl)
    call('ZREMRANGEBYLEX', x, '-', '(' .. oldest)
  end
  a = a + 5
end
for i = 2 * runs + 2, #KEYS do
  call('HSET', KEYS[i], 'e', ARGV[a])
  call('PEXPIRE', KEYS[i], ARGV[a + 1])
  a = a + 2
end
if next_offset > folded then call('SET', KEYS[1], ARGV[1]) end
return 1
