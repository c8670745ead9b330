-- Part: the rate learns. A refusal tells of the rate only if fewer follow when the rate falls: vendors also shed load at
-- random, and then going slower costs calls and spares none. So each suspicion is tried out, like in a trial of a drug:
--   steady  refusals are held against what is known of them; too many: look
--   look    a fresh sample tells which share is refused
--   less    at the rate that came through. Refusals go: that is the limit. They stay: they are noise, back to where it was
--   more    below the limit, now and then: a few calls at a higher rate, to find out whether the vendor allows more by now
--   shut    nothing at all comes through: halved down to a knock at the door, and back up by leaps when it opens
-- By likelihood ratios (A. Wald, "Sequential Tests of Statistical Hypotheses", 1945; E. S. Page, "Continuous Inspection
-- Schemes", 1954). The figures are those with which ops/bench/rate_learning.py measured best.
-- needs: traffic
local LEAST_NOISE, ALARM, NOISE_SURE, LIMIT_SURE, SAMPLE, MOST_TESTED = 0.003, 4, 3, 6, 35, 150
local FINE, BOLDER, DOUBLE, SHY = 1.05, 4, 2.03, 0.985
local BUDGET, YOUNG, FADE = 0.010, 300, 200
local PATIENCE, LEAST_KNOCKS_MS, AGAIN = 10, 2000, 150

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

-- How many calls at `share` would show that it is too much.
local function calls_to_tell(share)
  return math.max(1.6 / (1 - T.learned / share), 4, 0.05 * calls_per_s())
end

-- In turn twice up to the double, which finds a limit that was lifted, and once a fine step; after one that went well,
-- bolder ones, but half-way to what failed.
local function try_more()
  local fine, share = FINE + 0.3 * T.noise, nil
  T.bold = T.stride <= fine and T.trials % 3 < 2 and 1 or 0
  if T.bold == 1 then
    share = DOUBLE * T.learned
  else
    if T.ceiling < fine * T.learned then T.ceiling, T.stride = math.huge, fine end
    share = T.learned * math.min(math.max(T.stride, fine), math.sqrt(T.ceiling / T.learned))
  end
  begin_phase(PHASE.more)
  T.tried, T.later = math.min(share, 1), 0
  T.tried_calls = calls_to_tell(T.tried)
  T.tried_until = T.phase_from + T.tried_calls * T.interval / T.tried
end

local function end_trial(passed)
  if passed then
    local step = T.tried / T.learned
    T.stride = math.min(1 + BOLDER * (step - 1), 4)
    if T.tried > 0.95 * T.ceiling then T.ceiling, T.stride = math.huge, DOUBLE end  -- it has moved
    use_share((T.tried < 1 and step < 1.3) and T.tried * SHY or T.tried, 'limit')
    T.debt = math.max(T.debt, 0)
  else
    if T.bold == 0 then T.ceiling, T.stride = T.tried, 1 end
    T.trials = T.trials + 1
  end
  begin_phase(PHASE.steady)
  if passed then T.phase_answers = 20 end  -- the next one at once
end

local ON = {}  -- what an answer means, by phase

ON[PHASE.steady] = function(refused)
  local usual, answers = math.max(T.noise, LEAST_NOISE), T.phase_answers
  local share = T.phase_refused / answers
  T.evidence = math.max(T.evidence + evidence(refused, 1.2 * usual + 0.03, usual), 0)
  local doubtful = T.noise >= 0.03 and answers >= 50 and share >= 0.02 and now >= T.doubt_at
  if doubtful or T.evidence >= ALARM + caution() then return begin_phase(PHASE.look) end
  if answers >= 50 then T.noise = math.min(T.noise, (T.phase_refused + 1 + math.sqrt(T.phase_refused)) / answers) end
  if answers >= math.max(200, 4 * calls_per_s()) then
    T.phase_answers, T.phase_refused = answers / 2, T.phase_refused / 2
    if share < 0.05 then T.door_patience = 0 end
  end
  if T.learned < 1 and T.debt <= 0 and answers >= 20 then try_more() end
end

ON[PHASE.look] = function()
  if T.phase_answers < SAMPLE + 0.2 * calls_per_s() then return end
  local share = math.min(T.phase_refused / T.phase_answers, 0.9)
  if share <= math.max(0.8 * T.noise, 0.01) then  -- a false alarm
    T.noise, T.doubt_at = math.min(T.noise, share), now_ms
    return begin_phase(PHASE.steady)
  end
  begin_phase(PHASE.less)
  T.tried, T.refused_share = T.learned, share
  use_share(T.learned * (1 - share), 'test')
end

ON[PHASE.less] = function(refused)
  T.evidence = T.evidence + evidence(refused, T.refused_share, 0.2 * T.refused_share)
  if T.evidence >= NOISE_SURE + caution() then
    local took = now - T.phase_began + 1000
    T.noise = math.min((T.phase_refused + 40 * T.refused_share) / (T.phase_answers + 40), 0.5)
    T.debt, T.doubt_at = 0, now + took * T.refused_share * AGAIN
    use_share(T.tried, 'limit')
    begin_phase(PHASE.steady)
  elseif T.evidence <= -LIMIT_SURE - caution() or (T.phase_answers >= MOST_TESTED and T.evidence < 0) then
    local rest = T.phase_refused / T.phase_answers  -- noise besides the limit
    T.noise = T.phase_refused >= 3 and rest >= 0.03 and rest or 0
    T.debt, T.stride, T.ceiling, T.trials, T.known = 0, 1, math.huge, 0, 0
    T.doubt_at = now + 10 * (now - T.phase_began)
    use_share(math.min(T.tried, T.learned / (1 - T.noise) * SHY), 'limit')
    begin_phase(PHASE.steady)
  end
end

ON[PHASE.more] = function(refused, began)
  if began >= T.tried_until then
    T.phase_answers, T.later = T.phase_answers - 1, T.later + 1
    if refused then T.phase_refused = T.phase_refused - 1 end
    -- too few were made in time to tell: there was not work enough
    if T.later > math.max(20, T.tried_calls, 3 * calls_per_s()) then begin_phase(PHASE.steady) end
    return
  end
  local usual = math.max(T.noise, LEAST_NOISE)
  T.evidence = T.evidence + evidence(refused, 1 - (1 - usual) * T.learned / T.tried, usual)
  if T.evidence >= 2.5 then return end_trial(false) end
  if T.phase_answers >= 0.9 * T.tried_calls then end_trial(T.evidence < math.min(2.4, 50 * (usual - 0.0028))) end
end

-- A rate below one call in two seconds would be no knock but sleep.
local function knocks()
  return math.max(T.rate_floor, math.min(T.interval / LEAST_KNOCKS_MS, 1))
end

local function while_shut(refused, began)
  if not refused then
    use_share(math.min(4 * T.learned, T.tried), 'limit')
    if T.learned == T.tried then begin_phase(PHASE.steady) end
  elseif began >= T.phase_from then
    T.learned, T.phase_from = math.max(T.learned / 2, knocks()), now
  end
end

-- Many in a row may be chance where much is refused: each time that it was, it takes more of them.
local function shut()
  T.door_patience = math.min(T.door_patience + 1, 3)
  local before = T.phase == PHASE.less and T.tried or T.learned
  begin_phase(PHASE.shut)
  T.tried, T.phase_from = before, now
  use_share(math.max(T.learned / 2, knocks()), 'shut')
end

-- A refusal more than the usual is a debt, which answers pay off: below the limit no more is tried than can be paid for,
-- and the younger the limit, the more.
local function keep_books(refused)
  T.known = T.known + 1
  local paid = 1.3 * T.noise + BUDGET * (1 + YOUNG / (FADE + T.known))
  T.debt = math.min(math.max(T.debt + (refused and 1 or 0) - paid, -1), 3 + 0.1 * calls_per_s())
end

-- Take in the answer to a call that was made at `began`.
local function learn(refused, began)
  if T.rate_floor >= 1 then return end
  T.in_a_row = refused and T.in_a_row + 1 or 0
  if T.learned < 1 then keep_books(refused) end
  if T.phase == PHASE.shut then return while_shut(refused, began) end
  if T.in_a_row >= PATIENCE * 2 ^ T.door_patience and T.noise < 0.5 and T.learned > knocks() then return shut() end
  if began < T.phase_from then return end
  T.phase_answers = T.phase_answers + 1
  if refused then T.phase_refused = T.phase_refused + 1 end
  ON[T.phase](refused, began)
end
