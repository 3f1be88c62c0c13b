-- Stands before the scripts that write schedules, for them to call: notes what
-- a schedule waits for, in place of what it waited for (docs/keyspace.md,
-- section 2).
-- KEYS, ARGV  those of the script behind it
-- Answers  nothing
-- prefix: what keys of triggers begin with; schedule: its rid; versions: the
-- key of versions; old, new: its head before and now, empty: none.
-- luacheck: ignore 211/index
local kinds = {
  datasetUpdated = { 'datasetUpdated:', 'datasetRid' },
  mediaSetUpdated = { 'datasetUpdated:', 'mediaSetRid' },
  tableUpdated = { 'datasetUpdated:', 'tableRid' },
  newLogic = { 'newLogic:', 'datasetRid' },
  jobSucceeded = { 'jobSucceeded:', 'datasetRid' },
  scheduleSucceeded = { 'scheduleSucceeded:', 'scheduleRid' },
  scheduleFailed = { 'scheduleFailed:', 'scheduleRid' },
}
-- The version of a head that isn't deleted.
local function live_version(head)
  if head == '' or string.sub(head, 2, 2) == 'd' then return nil end
  return string.sub(head, 3)
end
-- Calls `act` with the key of each event that the version's trigger names.
local function each_event(prefix, versions, version, act)
  local json = version and redis.call('HGET', versions, version)
  if not json or not string.find(json, '"trigger"', 1, true) then return end
  local is_read, document = pcall(cjson.decode, json)
  local list = { is_read and type(document) == 'table' and document.trigger }
  local at = 1
  while list[at] ~= nil do
    local trigger = list[at]
    if type(trigger) == 'table' then
      local kind = kinds[trigger.type]
      if kind and type(trigger[kind[2]]) == 'string' then
        local branch = trigger.branchName
        act(prefix .. kind[1] .. trigger[kind[2]] ..
          (type(branch) == 'string' and '@' .. branch or ''))
      elseif type(trigger.triggers) == 'table' then
        for _, inner in ipairs(trigger.triggers) do list[#list + 1] = inner end
      end
    end
    at = at + 1
  end
end
local function index(prefix, schedule, versions, old, new)
  local was, is = live_version(old), live_version(new)
  if was == is then return end
  each_event(prefix, versions, was, function(key)
    redis.call('HDEL', key, schedule)
  end)
  if was then redis.call('DEL', prefix .. 'and:' .. was, prefix .. 'saw:' .. was) end
  each_event(prefix, versions, is, function(key)
    redis.call('HSET', key, schedule, is)
  end)
end
