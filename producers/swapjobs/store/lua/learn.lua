-- Part: the rate learns. A refusal tells of the rate only if fewer follow when the rate falls: vendors also shed load at
-- random, and then going slower costs calls and spares none. So each suspicion is tried out, like in a trial of a drug:
--   steady  refusals are held against what is known of them; too many: look
--   look    a fresh sample tells which share is refused
--   less    at the rate that came through. Refusals go: that is the limit. They stay: they are noise, back to where it was
--   more    below the limit, now and then: a few calls at a higher rate, to find out whether the vendor allows more by now
--   shut    nothing at all comes through: halved down to a knock at the door, and back up by leaps when it opens
-- By likelihood ratios (A. Wald, "Sequential Tests of Statistical Hypotheses", 1945; E. S. Page, "Continuous Inspection
-- Schemes", 1954). The figures are those with which ops/bench/rate_learning.py measured best.
-- needs: traffic, share, trial, suspicion, door
local BUDGET, YOUNG, FADE, PATIENCE = 0.010, 300, 200, 10

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
