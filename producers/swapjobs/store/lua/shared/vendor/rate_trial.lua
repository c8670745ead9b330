-- Trials: below the limit, now and then a few calls at a higher rate (adaptive_rate.lua).
local contract = require('contract')
local rate_share = require('vendor.rate_share')
local fleet, PHASE = contract.fleet, contract.PHASE

local FINE, BOLDER, DOUBLE, SHY = 1.05, 4, 2.03, 0.985

-- How many calls at `share` would show that it is too much.
local function calls_needed(share)
  return math.max(1.6 / (1 - fleet.rate_factor / share), 4, 0.05 * rate_share.calls_per_s())
end

-- In turn twice up to the double, which finds a limit that was lifted, and once a fine step; after one that went well,
-- bolder ones, but half-way to what failed.
local function begin()
  local fine = FINE + 0.3 * fleet.noise
  local share
  fleet.bold = fleet.stride <= fine and fleet.trials % 3 < 2 and 1 or 0
  if fleet.bold == 1 then
    share = DOUBLE * fleet.rate_factor
  else
    if fleet.ceiling < fine * fleet.rate_factor then fleet.ceiling, fleet.stride = math.huge, fine end
    share = fleet.rate_factor * math.min(math.max(fleet.stride, fine), math.sqrt(fleet.ceiling / fleet.rate_factor))
  end
  rate_share.begin_phase(PHASE.more)
  fleet.tried, fleet.later = math.min(share, 1), 0
  fleet.tried_calls = calls_needed(fleet.tried)
  fleet.tried_until = fleet.phase_from + fleet.tried_calls * fleet.interval / fleet.tried
end

local function end_trial(passed)
  if passed then
    local step = fleet.tried / fleet.rate_factor
    fleet.stride = math.min(1 + BOLDER * (step - 1), 4)
    if fleet.tried > 0.95 * fleet.ceiling then fleet.ceiling, fleet.stride = math.huge, DOUBLE end  -- it has moved
    rate_share.use((fleet.tried < 1 and step < 1.3) and fleet.tried * SHY or fleet.tried, 'limit')
    fleet.debt = math.max(fleet.debt, 0)
  else
    if fleet.bold == 0 then fleet.ceiling, fleet.stride = fleet.tried, 1 end
    fleet.trials = fleet.trials + 1
  end
  rate_share.begin_phase(PHASE.steady)
  if passed then fleet.phase_answers = 20 end  -- the next one at once
end

local function record(refused, began)
  if began >= fleet.tried_until then
    fleet.phase_answers, fleet.later = fleet.phase_answers - 1, fleet.later + 1
    if refused then fleet.phase_refused = fleet.phase_refused - 1 end
    -- too few were made in time to tell: there was not work enough
    if fleet.later > math.max(20, fleet.tried_calls, 3 * rate_share.calls_per_s()) then
      rate_share.begin_phase(PHASE.steady)
    end
    return
  end
  local usual = math.max(fleet.noise, rate_share.LEAST_NOISE)
  local expected = 1 - (1 - usual) * fleet.rate_factor / fleet.tried
  fleet.evidence = fleet.evidence + rate_share.evidence(refused, expected, usual)
  if fleet.evidence >= 2.5 then return end_trial(false) end
  if fleet.phase_answers >= 0.9 * fleet.tried_calls then
    end_trial(fleet.evidence < math.min(2.4, 50 * (usual - 0.0028)))
  end
end

return {
  SHY = SHY,
  begin = begin,
  record = record,
}
