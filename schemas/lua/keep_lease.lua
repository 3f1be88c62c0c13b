-- Keeps leases for another while, or gives them back: if all are ours still.
-- KEYS     the build's `b`; the leases
-- ARGV     our number; ms, 0: back
-- Answers  1: done, 0: one is lost, 2: done, and the build was canceled
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then return 0 end
end
for i = 2, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return redis.call('HGET', KEYS[1], 's') == 'CANCELED' and 2 or 1
