-- The clock was put back. What was to happen in a minute is to happen in a minute, not in an hour and a minute.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet, READY = contract.keys, contract.fleet, contract.READY

-- The times in the state of the fleet.
local TIMES = {'bulk_arrival', 'paused_until', 'probe_at', 'rate_since', 'tripped_at', 'reset_at', 'epoch_at',
               'known_until', 'phase_from', 'phase_began', 'tried_until', 'doubt_at'}

local function shift_times(change)
  for _, member in ipairs(redis.call('ZRANGE', keys.schedule, 0, -1)) do
    -- expires_at is the user's own time
    if string.sub(member, 1, 7) ~= 'expiry:' then redis.call('ZINCRBY', keys.schedule, change, member) end
  end
  for lane in pairs(READY) do
    for _, id in ipairs(redis.call('ZRANGE', keys.published .. lane, 0, -1)) do
      redis.call('ZADD', keys.published .. lane, clock.now_ms, id)
    end
  end
  for _, tenant in ipairs(redis.call('SMEMBERS', keys.tenants)) do
    redis.call('HINCRBYFLOAT', keys.tenant .. tenant, 'arrival', change)
  end
  for _, field in ipairs(TIMES) do
    fleet[field] = math.max(fleet[field] + change, 0)
  end
  redis.call('DEL', keys.failures)  -- with times that mean nothing now
end

return {
  shift_times = shift_times,
}
