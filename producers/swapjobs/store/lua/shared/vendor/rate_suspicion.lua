-- What refusals are taken for: noise as usual, a suspicion, noise after all, or a lower limit (adaptive_rate.lua).
local contract = require('contract')
local clock = require('fleet.clock')
local rate_share = require('vendor.rate_share')
local rate_trial = require('vendor.rate_trial')
local fleet, PHASE = contract.fleet, contract.PHASE

local ALARM, NOISE_SURE, LIMIT_SURE, SAMPLE, MOST_TESTED, AGAIN = 4, 3, 6, 35, 150, 150

-- Returns whether all is as it was: an answer, as after many others. Then there is nothing to weigh up.
local function is_as_ever(refused)
  return not refused and fleet.evidence == 0 and fleet.noise == 0 and fleet.phase_refused == 0
    and fleet.rate_factor == 1 and fleet.phase_answers < 200
end

local function steady(refused)
  if is_as_ever(refused) then return end
  local usual, answers = math.max(fleet.noise, rate_share.LEAST_NOISE), fleet.phase_answers
  local share = fleet.phase_refused / answers
  fleet.evidence = math.max(fleet.evidence + rate_share.evidence(refused, 1.2 * usual + 0.03, usual), 0)
  local doubtful = fleet.noise >= 0.03 and answers >= 50 and share >= 0.02 and clock.now >= fleet.doubt_at
  if doubtful or fleet.evidence >= ALARM + rate_share.caution() then return rate_share.begin_phase(PHASE.sample) end
  if answers >= 50 then
    fleet.noise = math.min(fleet.noise, (fleet.phase_refused + 1 + math.sqrt(fleet.phase_refused)) / answers)
  end
  if answers >= math.max(200, 4 * rate_share.calls_per_s()) then
    fleet.phase_answers, fleet.phase_refused = answers / 2, fleet.phase_refused / 2
    if share < 0.05 then fleet.shut_patience = 0 end
  end
  if fleet.rate_factor < 1 and fleet.debt <= 0 and answers >= 20 then rate_trial.begin() end
end

local function sample()
  if fleet.phase_answers < SAMPLE + 0.2 * rate_share.calls_per_s() then return end
  local share = math.min(fleet.phase_refused / fleet.phase_answers, 0.9)
  if share <= math.max(0.8 * fleet.noise, 0.01) then  -- a false alarm
    fleet.noise, fleet.doubt_at = math.min(fleet.noise, share), clock.now_ms
    return rate_share.begin_phase(PHASE.steady)
  end
  rate_share.begin_phase(PHASE.less)
  fleet.tried, fleet.refused_share = fleet.rate_factor, share
  rate_share.use(fleet.rate_factor * (1 - share), 'test')
end

local function less(refused)
  fleet.evidence = fleet.evidence + rate_share.evidence(refused, fleet.refused_share, 0.2 * fleet.refused_share)
  if fleet.evidence >= NOISE_SURE + rate_share.caution() then
    local took = clock.now - fleet.phase_began + 1000
    fleet.noise = math.min((fleet.phase_refused + 40 * fleet.refused_share) / (fleet.phase_answers + 40), 0.5)
    fleet.debt, fleet.doubt_at = 0, clock.now + took * fleet.refused_share * AGAIN
    rate_share.use(fleet.tried, 'limit')
    rate_share.begin_phase(PHASE.steady)
  elseif fleet.evidence <= -LIMIT_SURE - rate_share.caution()
    or (fleet.phase_answers >= MOST_TESTED and fleet.evidence < 0) then
    local rest = fleet.phase_refused / fleet.phase_answers  -- noise besides the limit
    fleet.noise = fleet.phase_refused >= 3 and rest >= 0.03 and rest or 0
    fleet.debt, fleet.stride, fleet.ceiling, fleet.trials, fleet.known = 0, 1, math.huge, 0, 0
    fleet.doubt_at = clock.now + 10 * (clock.now - fleet.phase_began)
    rate_share.use(math.min(fleet.tried, fleet.rate_factor / (1 - fleet.noise) * rate_trial.SHY), 'limit')
    rate_share.begin_phase(PHASE.steady)
  end
end

return {steady = steady, sample = sample, less = less}
