-- Give a tenant limits of its own, or take them away.
-- flags: allow-oom
-- ARGV: tenant, then field, value pairs for all of interval, rate (as text), max_in_flight, weight, paused; without them it
--   has none any more
-- It looks through all wake-ups for calls of this tenant from before: 0.2 s with 100,000 jobs that wait for a time.
local tenant, key = ARGV[1], K.tenant .. ARGV[1]
local function is_of_tenant(id)
  return redis.call('HGET', K.job .. id, 'tenant') == tenant
end

-- What was begun before it had limits counts too.
local function count_what_is_out()
  local calls, hints = 0, 0
  for _, member in ipairs(redis.call('ZRANGE', K.wake, 0, -1)) do
    local id = string.match(member, '^lease:(.+)$')
    if id and is_of_tenant(id) then calls = calls + 1 end
  end
  for _, lane in ipairs(SWAPS) do
    for _, id in ipairs(redis.call('ZRANGE', K.hints .. lane, 0, -1)) do
      if is_of_tenant(id) then hints = hints + 1 end
    end
  end
  redis.call('HSET', key, 'in_flight', calls, 'hints', hints)
end

if #ARGV > 1 then
  local before = redis.call('HGET', key, 'interval')
  redis.call('HSET', key, unpack(ARGV, 2))
  -- the next call of a slower rate may be hours away
  if redis.call('HGET', key, 'interval') ~= before then redis.call('HSET', key, 'arrival', 0) end
  count_what_is_out()
  redis.call('SADD', K.tenants, tenant)
else
  redis.call('DEL', key)
  redis.call('SREM', K.tenants, tenant)
end
return_turn(tenant)
T.tenants = redis.call('SCARD', K.tenants)
refill_swaps()
