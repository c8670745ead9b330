-- Part: trials: below the limit, now and then a few calls at a higher rate (learn.lua).
-- needs: traffic, share
local FINE, BOLDER, DOUBLE, SHY = 1.05, 4, 2.03, 0.985

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
