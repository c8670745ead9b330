-- The share of the limit that is used, and the phases in which the rate learns (adaptive_rate.lua).
local contract = require('contract')
local clock = require('fleet.clock')
local fleet, RATE_REASON, PHASE = contract.fleet, contract.RATE_REASON, contract.PHASE

local LEAST_NOISE = 0.003  -- so that one refusal in a row of hundreds proves nothing

local function calls_per_s()
  return 1000 * fleet.rate_factor / fleet.interval
end

-- More calls decide at once at a high rate, so that there is more to be sure of.
local function caution()
  return math.log(1 + calls_per_s() / 10)
end

-- How much this answer speaks for a refused share of `more` and against one of `less`.
local function evidence(refused, more, less)
  return refused and math.log(more / less) or math.log((1 - more) / (1 - less))
end

-- Calls that are booked already were so at the rate of before: they tell nothing of this phase.
local function begin_phase(phase)
  -- times of calls come rounded to milliseconds
  fleet.phase, fleet.phase_began = phase, clock.now_ms
  fleet.phase_from = math.floor(math.max(clock.now, fleet.arrival)) - 1
  fleet.phase_answers, fleet.phase_refused, fleet.evidence = 0, 0, 0
end

local function use(share, why)
  fleet.rate_factor = math.max(math.min(share, 1), fleet.rate_floor)
  local reason = fleet.rate_factor < 1 and RATE_REASON[why] or 0
  if reason ~= fleet.rate_reason then fleet.rate_reason, fleet.rate_since = reason, clock.now_ms end
end

local function forget()
  fleet.rate_factor, fleet.rate_reason, fleet.rate_since = 1, 0, 0
  fleet.noise, fleet.debt, fleet.in_a_row, fleet.shut_patience = 0, 0, 0, 0
  fleet.ceiling, fleet.stride, fleet.trials, fleet.known, fleet.doubt_at = 0, 1, 0, 0, 0
  begin_phase(PHASE.steady)
end

return {
  LEAST_NOISE = LEAST_NOISE,
  calls_per_s = calls_per_s,
  caution = caution,
  evidence = evidence,
  begin_phase = begin_phase,
  use = use,
  forget = forget,
}
