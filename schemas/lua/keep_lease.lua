-- Keeps leases for another while, or gives them back: if all are ours still.
-- KEYS     the leases
-- ARGV     our number; ms, 0: back
-- Answers  1: done, 0: one is lost
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 0 end
end
for i = 1, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 1
