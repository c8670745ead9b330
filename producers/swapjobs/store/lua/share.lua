-- Part: the share of the limit that is used, and the phases in which the rate learns (learn.lua).
-- needs: traffic
local LEAST_NOISE = 0.003  -- so that one refusal in a row of hundreds proves nothing
local ON = {}  -- what an answer means, by phase

local function calls_per_s()
  return 1000 * T.learned / T.interval
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
  T.phase, T.phase_from, T.phase_began = phase, math.floor(math.max(now, T.arrival)) - 1, now_ms
  T.phase_answers, T.phase_refused, T.evidence = 0, 0, 0
end

local function use_share(share, why)
  T.learned = math.max(math.min(share, 1), T.rate_floor)
  local reason = T.learned < 1 and LEARNED[why] or 0
  if reason ~= T.learned_why then T.learned_why, T.cut_at = reason, now_ms end
end

local function forget()
  T.learned, T.learned_why, T.cut_at, T.noise, T.debt, T.in_a_row, T.door_patience = 1, 0, 0, 0, 0, 0, 0
  T.ceiling, T.stride, T.trials, T.known, T.doubt_at = 0, 1, 0, 0, 0
  begin_phase(PHASE.steady)
end
