-- A closed door: nothing at all comes through. That is no limit to be found (adaptive_rate.lua).
local contract = require('contract')
local clock = require('fleet.clock')
local rate_share = require('vendor.rate_share')
local fleet, PHASE = contract.fleet, contract.PHASE

local LEAST_KNOCKS_MS = 2000

-- A rate below one call in two seconds would be no knock but sleep.
local function knocks()
  return math.max(fleet.rate_floor, math.min(fleet.interval / LEAST_KNOCKS_MS, 1))
end

local function record(refused, began)
  if not refused then
    rate_share.use(math.min(4 * fleet.rate_factor, fleet.tried), 'limit')
    if fleet.rate_factor == fleet.tried then rate_share.begin_phase(PHASE.steady) end
  elseif began >= fleet.phase_from then
    fleet.rate_factor, fleet.phase_from = math.max(fleet.rate_factor / 2, knocks()), clock.now
  end
end

-- Many in a row may be chance where much is refused: each time that it was, it takes more of them.
local function begin()
  fleet.shut_patience = math.min(fleet.shut_patience + 1, 3)
  local before = fleet.phase == PHASE.less and fleet.tried or fleet.rate_factor
  rate_share.begin_phase(PHASE.shut)
  fleet.tried, fleet.phase_from = before, clock.now
  rate_share.use(math.max(fleet.rate_factor / 2, knocks()), 'shut')
end

return {
  knocks = knocks,
  record = record,
  begin = begin,
}
