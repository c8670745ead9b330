-- The gate to the vendor: why no call at all may be made now.
local contract = require('contract')
local clock = require('fleet.clock')
local fleet, MAX_PAUSE_MS = contract.fleet, contract.MAX_PAUSE_MS

-- Returns for how many ms the vendor's Retry-After still holds; a manual pause has no end of its own.
local function paused_for()
  return math.min(math.max(fleet.paused_until - clock.now, 0), MAX_PAUSE_MS)
end

-- Returns why no call may be made now: paused_manually, rate_limit, outage (the breaker is open; a probe may go); or
-- nil.
local function closed_by()
  if fleet.paused_manually > 0 then return 'paused_manually' end
  if paused_for() > 0 then return 'rate_limit' end
  if fleet.tripped > 0 then return 'outage' end
end

-- Returns whether the next probe is due. There is one at a time, but one that hangs, or whose worker died, is not
-- waited for (see vendor/probes).
local function may_probe()
  return clock.now >= fleet.probe_at
end

local function pause_until(time)
  fleet.paused_until = math.max(fleet.paused_until, math.min(time, clock.now + MAX_PAUSE_MS))
end

return {closed_by = closed_by, may_probe = may_probe, pause_until = pause_until}
