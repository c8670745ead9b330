-- Part: what refusals are taken for: noise as usual, a suspicion, noise after all, or a lower limit (learn.lua).
-- needs: traffic, share, trial
local ALARM, NOISE_SURE, LIMIT_SURE, SAMPLE, MOST_TESTED, AGAIN = 4, 3, 6, 35, 150, 150

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
