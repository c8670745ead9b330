-- Give a tenant limits of its own, or take them away.
-- flags: allow-oom
-- ARGV: tenant, then field, value pairs for all of interval, rate (as text), max_in_flight, weight, paused; without: it has none any more
local tenant = ARGV[1]
if #ARGV > 1 then
  redis.call('HSET', K.tenant .. tenant, unpack(ARGV, 2))
  redis.call('HSET', K.tenant .. tenant, 'arrival', 0)  -- that of a slower rate may be hours ahead
  for _, state in ipairs({'in_flight', 'hints'}) do redis.call('HSETNX', K.tenant .. tenant, state, 0) end
  redis.call('SADD', K.tenants, tenant)
else
  redis.call('DEL', K.tenant .. tenant)
  redis.call('SREM', K.tenants, tenant)
end
return_turn(tenant)
T.tenants = redis.call('SCARD', K.tenants)
refill_swaps()
