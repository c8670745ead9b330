-- The fleet state (store/fleet_state.py): numbers that all workers share, in one packed string. It is read before every
-- call and written after it where the call changed it. Modules know the numbers as `contract.fleet.<name>`; two more
-- are no part of it: `spacing`, ms from one call to the next as of now, and `result_ttl_ms`, which the caller gives.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet, PHASE = contract.keys, contract.fleet, contract.PHASE

-- Calls leave a little later than booked, some more than others: with this much of the rate left unused, those of a
-- window of T ms keep to the limit as long as none is more than 0.015 T late.
local RESERVE = 1.015
local stored, of_newer_versions = nil, nil

-- Returns the share of the full rate that may be used now: after an outage it grows, so that the vendor is not hit by
-- everything at once.
local function ramp()
  local ramped = (clock.now - fleet.reset_at) / math.max(fleet.ramp, 1)
  return ramped >= 0 and ramped < 1 and math.max(ramped, 0.1) or 1
end

-- Returns the share of the limit that a call made at `time` may use: more while more is tried (vendor/adaptive_rate).
local function share_at(time)
  local trial = fleet.phase == PHASE.more and time >= fleet.phase_from and time < fleet.tried_until
  return trial and fleet.tried or fleet.rate_factor
end

local function read()
  stored = redis.call('GET', keys.fleet_state) or ''
  local missing = #contract.DEFAULTS - #stored  -- of an older version, or there was nothing yet
  contract.unpack_state(missing > 0 and stored .. string.sub(contract.DEFAULTS, -missing) or stored)
  of_newer_versions = string.sub(stored, #contract.DEFAULTS + 1)
  fleet.spacing = fleet.interval * RESERVE / share_at(math.max(clock.now, fleet.arrival)) / ramp()
end

local function write()
  local packed = contract.pack_state() .. of_newer_versions
  if packed ~= stored then redis.call('SET', keys.fleet_state, packed) end
end

return {ramp = ramp, read = read, write = write}
