-- Writes one schedule, if its head is as the writer saw it (docs/keyspace.md,
-- section 2).
-- KEYS     `s`; `i`; `v`; `w` of the schedule; `e`
-- ARGV     the schedule's rid; the head that was seen, empty: none; the head;
--          what is kept about it; the edition; what keys of triggers begin
--          with; of a new version also its rid and its JSON
-- Answers  1: written, 0: the head has moved, 2: the version's rid is taken
local call = redis.call
local heads, abouts, versions, list, edition = unpack(KEYS)
local rid, seen, head, about = unpack(ARGV, 1, 4)
local triggers, version_rid, version = unpack(ARGV, 6, 8)
if (call('HGET', heads, rid) or '') ~= seen then return 0 end
if version_rid then
  if call('HSETNX', versions, version_rid, version) == 0 then return 2 end
  call('RPUSH', list, version_rid)
end
call('HSET', heads, rid, head)
index(triggers, rid, versions, seen, head)
call('HSET', abouts, rid, about)
call('SET', edition, ARGV[5])
return 1
