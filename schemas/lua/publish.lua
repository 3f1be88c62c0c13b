-- Makes an apply's stages what everybody reads, if the lock is still ours and
-- all that was seen is as it was: whole or not at all (docs/keyspace.md,
-- section 3).
-- KEYS     the lock; `g`; `e`; `s`; `i`; `v`; `h`; `n:said`; `n:done`; the
--          stages of `s`, `i`, `v`, `h`, `w` and `n:said`, what was seen of `s`
--          and of `h`, what leaves `h`; of a new generation also its five
--          hashes; then the five that it replaces
-- ARGV     token of the lock, whose UUID becomes the edition; the generation that
--          was seen, empty: none; the new one, empty: it stays; what keys of
--          version lists begin with; ms that replaced hashes are still there;
--          the receipt of this step; ms that it is kept; what keys of
--          triggers begin with
-- Answers  "ok", "lock" (it is lost), "moved" (somebody wrote in between),
--          "gone" (what was staged is not there: another server)
-- `n:done` was set to "staged" and the receipt after all that is staged: a
-- server that has it has all of that.
local call = redis.call
local token, seen, new, lists, stay, receipt, keep, triggers = unpack(ARGV)
local lock, g, e, s, i, v, h, said, done = unpack(KEYS, 1, 9)
local s_new, i_new, v_new, h_new, w_new, said_new = unpack(KEYS, 10, 15)
local s_seen, h_seen, h_gone = unpack(KEYS, 16, 18)
-- Asked again, since the answer was lost: it is done.
local state = call('GET', done)
if state == receipt then return 'ok' end
if call('GET', lock) ~= token then return 'lock' end
if (call('GET', g) or '') ~= seen then return 'moved' end
if state ~= 'staged ' .. receipt then return 'gone' end
local function is_same(stage, key)
  local list = call('HGETALL', stage)
  for k = 1, #list, 2 do
    if (call('HGET', key, list[k]) or '') ~= list[k + 1] then return false end
  end
  return true
end
if not is_same(s_seen, s) or not is_same(h_seen, h) then return 'moved' end
-- A thousand at once: unpack has the room of Lua's stack.
local function move(stage, key)
  local list = call('HGETALL', stage)
  for k = 1, #list, 1000 do
    call('HSET', key, unpack(list, k, math.min(k + 999, #list)))
  end
end
move(v_new, v)
local changed = call('HGETALL', s_new)
for k = 1, #changed, 2 do
  index(triggers, changed[k], v, call('HGET', s, changed[k]) or '', changed[k + 1])
end
move(s_new, s)
move(i_new, i)
move(h_new, h)
move(said_new, said)
for _, dataset in ipairs(call('HKEYS', h_gone)) do
  call('HDEL', h, dataset)
end
local added = call('HGETALL', w_new)
for k = 1, #added, 2 do
  for rid in string.gmatch(added[k + 1], '[^\n]+') do
    call('RPUSH', lists .. added[k], rid)
  end
end
call('UNLINK', unpack(KEYS, 10, 18))
if new ~= '' then
  for k = 19, 23 do call('PERSIST', KEYS[k]) end
  for k = 24, #KEYS do call('PEXPIRE', KEYS[k], stay) end
  call('SET', g, new)
end
call('SET', e, token:sub(1, 36))
call('SET', done, receipt, 'PX', keep)
return 'ok'
