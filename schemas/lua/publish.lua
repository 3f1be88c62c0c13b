-- Makes an apply's stages what everybody reads, if the lock is still ours and
-- all that was seen is as it was: whole or not at all (docs/keyspace.md,
-- section 3).
-- KEYS     the lock; `g`; `e`; `s`; `i`; `v`; `h`; the stages of `s`, `i`, `v`,
--          `h` and `w`, what was seen of `s` and of `h`, what leaves `h`; of a
--          new generation also its five hashes; then the five that it replaces
-- ARGV     token of the lock, which becomes the edition; the generation that
--          was seen, empty: none; the new one, empty: it stays; what keys of
--          version lists begin with; ms that replaced hashes are still there
-- Answers  "ok", "lock" (it is lost), "moved" (somebody wrote in between)
local call = redis.call
local token, seen, new, lists, stay = unpack(ARGV)
local lock, g, e, s, i, v, h = unpack(KEYS, 1, 7)
local s_new, i_new, v_new, h_new, w_new = unpack(KEYS, 8, 12)
local s_seen, h_seen, h_gone = unpack(KEYS, 13, 15)
if call('GET', lock) ~= token then return 'lock' end
if (call('GET', g) or '') ~= seen then return 'moved' end
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
move(s_new, s)
move(i_new, i)
move(v_new, v)
move(h_new, h)
for _, dataset in ipairs(call('HKEYS', h_gone)) do
  call('HDEL', h, dataset)
end
local added = call('HGETALL', w_new)
for k = 1, #added, 2 do
  for rid in string.gmatch(added[k + 1], '[^\n]+') do
    call('RPUSH', lists .. added[k], rid)
  end
end
call('UNLINK', unpack(KEYS, 8, 15))
if new ~= '' then
  for k = 16, 20 do call('PERSIST', KEYS[k]) end
  for k = 21, #KEYS do call('PEXPIRE', KEYS[k], stay) end
  call('SET', g, new)
end
call('SET', e, token)
call('DEL', lock)
return 'ok'
