-- Takes the leases of a job's outputs, all or none, by a number that is higher
-- than any before, also of a Redis that was emptied (as next_generation.lua).
-- KEYS     `o`; the build's `j`; the `j:f` of the job's fingerprint; the
--          build's `b`; the leases
-- ARGV     the job's position in its build; ms
-- Answers  the number, 0: somebody has one of them; the build's state; what is
--          said of the job; what was made by its fingerprint
local call = redis.call
for i = 5, #KEYS do
  if call('EXISTS', KEYS[i]) == 1 then return {'0'} end
end
local time = call('TIME')
local number = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local last = tonumber(call('GET', KEYS[1]) or '0') or 0
if number <= last then number = last + 1 end
number = string.format('%.0f', number)
call('SET', KEYS[1], number)
for i = 5, #KEYS do
  call('SET', KEYS[i], number, 'PX', ARGV[2])
end
return {number, call('HGET', KEYS[4], 's') or '', call('HGET', KEYS[2], ARGV[1]) or '',
  call('GET', KEYS[3]) or ''}
