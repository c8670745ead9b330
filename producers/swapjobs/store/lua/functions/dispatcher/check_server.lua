-- A worker has connected: is this the server that the fleet knows? Another one was restarted or took over, and what was
-- written last may be missing. So fences begin anew above all that can have been given out, and the jobs that may have
-- been claimed in that time are looked up at the vendor before they are sent.
local contract = require('contract')
local clock = require('fleet.clock')
local failover = require('jobs.failover')
local rate_limiter = require('queue.rate_limiter')
local keys, fleet = contract.keys, contract.fleet

local function call()
  local MISSING_MS = 2000  -- appendfsync everysec loses up to 1 s, 2 s on a busy disk
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local known = redis.call('GET', keys.server)
  if known == run_id then return 'known' end
  redis.call('SET', keys.server, run_id)
  if not known then return 'first' end
  local doubts = math.ceil(MISSING_MS / fleet.interval) + fleet.burst
  for _, lane in ipairs({'interactive', 'bulk'}) do doubts = doubts + redis.call('ZCARD', keys.published .. lane) end
  local last_sign = fleet.dispatched_at > 0 and fleet.dispatched_at or clock.now
  failover.begin_epoch()
  fleet.unverified, fleet.known_until = fleet.unverified + doubts, math.floor(last_sign + MISSING_MS)
  -- Calls that were booked in that time are forgotten too: no burst.
  for _, step in ipairs({'swap', 'query'}) do
    local field, gap = rate_limiter.rate_of(step)
    fleet[field] = math.max(fleet[field], clock.now + fleet.burst * gap)
  end
  return 'another'
end

return {flags = {'allow-oom'}, call = call}
