-- Says of a job what it does, if its leases are ours still, and gives them back
-- once it has ended.
-- KEYS     the build's `j`; the leases
-- ARGV     our number; the job's position; what is said; ttl of `j` in ms; 1:
--          it has ended
-- Answers  1: done, 0: a lease is lost
local call = redis.call
for i = 2, #KEYS do
  if call('GET', KEYS[i]) ~= ARGV[1] then return 0 end
end
call('HSET', KEYS[1], ARGV[2], ARGV[3])
call('PEXPIRE', KEYS[1], ARGV[4])
if ARGV[5] == '1' then
  for i = 2, #KEYS do call('DEL', KEYS[i]) end
end
return 1
