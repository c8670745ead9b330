-- How dispatch stands: everything that traffic control knows, and how many jobs are queued.
-- Returns {now in ms, traffic as name, value pairs, counts as name, value pairs, whether a probe is out (1 or 0)}.
local contract = require('contract')
local clock = require('fleet.clock')
local fleet_state = require('fleet.state')
local keys, fleet, FIELDS = contract.keys, contract.fleet, contract.FIELDS

local function call()
  local traffic = {'rate', string.format('%.17g', 1000 * fleet.rate_factor * fleet_state.ramp() / fleet.interval)}
  for _, name in ipairs(FIELDS) do
    traffic[#traffic + 1], traffic[#traffic + 2] = name, string.format('%.17g', fleet[name])
  end
  local probing = 0
  for _, id in ipairs(redis.call('SMEMBERS', keys.probes)) do
    if (tonumber(redis.call('ZSCORE', keys.schedule, 'lease:' .. id) or nil) or 0) > clock.now then probing = 1 end
  end
  return {clock.now_ms, traffic, redis.call('HGETALL', keys.counts), probing}
end

return {flags = {'no-writes'}, call = call}
