-- Give a tenant limits of its own, or take them away.
-- flags: allow-oom
-- ARGV: tenant, then field, value pairs for all of interval, rate (as text), max_in_flight, weight, paused; without: it has none any more
local tenant = ARGV[1]
if #ARGV > 1 then
  redis.call('HSET', K.tenant .. tenant, unpack(ARGV, 2))
  for _, state in ipairs({'arrival', 'in_flight', 'hints'}) do redis.call('HSETNX', K.tenant .. tenant, state, 0) end
  redis.call('SADD', K.tenants, tenant)
else
  redis.call('DEL', K.tenant .. tenant)
  redis.call('SREM', K.tenants, tenant)
end
T.tenants = redis.call('SCARD', K.tenants)
return_turn(tenant)
refill_swaps()
