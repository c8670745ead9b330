-- Give a tenant limits of its own, or take them away.
-- ARGV: tenant, then field, value pairs for all of interval, rate (as text), max_in_flight, weight, paused,
--   result_ttl (ms, 0: as all); without them it has none any more
-- It looks through the whole schedule for calls of this tenant from before: 0.2 s with 100,000 jobs that wait for a
-- time.
local contract = require('contract')
local fair = require('queue.fair')
local refill = require('queue.refill')
local records = require('records.record')
local keys, fleet, SWAP_LANES = contract.keys, contract.fleet, contract.SWAP_LANES

local function call(args)
  local tenant, key = args[1], keys.tenant .. args[1]
  local function is_of_tenant(id)
    local job = records.peek(id)
    return job and job.tenant == tenant
  end

  -- What was begun before it had limits counts too.
  local function count_what_is_out()
    local calls, messages = 0, 0
    for _, member in ipairs(redis.call('ZRANGE', keys.schedule, 0, -1)) do
      local id = string.match(member, '^lease:(.+)$')
      if id and is_of_tenant(id) then calls = calls + 1 end
    end
    for _, lane in ipairs(SWAP_LANES) do
      for _, id in ipairs(redis.call('ZRANGE', keys.published .. lane, 0, -1)) do
        if is_of_tenant(id) then messages = messages + 1 end
      end
    end
    redis.call('HSET', key, 'in_flight', calls, 'messages', messages)
  end

  if #args > 1 then
    local before = redis.call('HGET', key, 'interval')
    redis.call('HSET', key, unpack(args, 2))
    -- the next call of a slower rate may be hours away
    if redis.call('HGET', key, 'interval') ~= before then redis.call('HSET', key, 'arrival', 0) end
    count_what_is_out()
    redis.call('SADD', keys.tenants, tenant)
  else
    redis.call('DEL', key)
    redis.call('SREM', keys.tenants, tenant)
  end
  fair.rejoin_tenant(tenant)
  fleet.tenants = redis.call('SCARD', keys.tenants)
  refill.swaps()
end

return {flags = {'allow-oom'}, call = call}
