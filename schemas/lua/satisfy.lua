-- An event satisfies leaves of an `and`: is it whole?  Then it begins anew.
-- The same event again has the same answer (docs/keyspace.md, section 2).
-- KEYS     `s`; `t:and` and `t:saw` of the version
-- ARGV     the schedule's rid; its version's; which `and` of its trigger; its
--          form, parts before what they are parts of: "l3 " is the leaf 3, "a2 "
--          and "o2 " are `and` and `or` of the last two; which event it is; ms
--          that this is remembered; the leaves, "0 3 "
-- Answers  1: it fires, 0: not, or the schedule has another version by now, is
--          paused or deleted
local call = redis.call
local heads, state, saw = unpack(KEYS)
local schedule, version, number, form, event, keep = unpack(ARGV, 1, 6)
if call('HGET', heads, schedule) ~= '--' .. version then return 0 end
for answer = 0, 1 do
  if call('ZSCORE', saw, number .. ':' .. answer .. event) then return answer end
end
for leaf in string.gmatch(ARGV[7], '%d+') do
  call('HSET', state, number .. ':' .. leaf, 1)
end
local stack = {}
for kind, n in string.gmatch(form, '(%a)(%d+) ') do
  n = tonumber(n)
  if kind == 'l' then
    stack[#stack + 1] = call('HEXISTS', state, number .. ':' .. n) == 1
  else
    local all, any = n > 0, false
    for _ = 1, n do
      local part = table.remove(stack)
      all, any = all and part, any or part
    end
    if kind == 'a' then stack[#stack + 1] = all else stack[#stack + 1] = any end
  end
end
local whole = stack[1] and 1 or 0
if whole == 1 then
  for leaf in string.gmatch(form, 'l(%d+) ') do
    call('HDEL', state, number .. ':' .. leaf)
  end
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('ZADD', saw, now, number .. ':' .. whole .. event)
call('ZREMRANGEBYSCORE', saw, '-inf', now - tonumber(keep))
call('PEXPIRE', saw, keep)
return whole
