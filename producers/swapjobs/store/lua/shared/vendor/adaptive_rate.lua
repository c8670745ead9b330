-- The rate learns. A refusal tells of the rate only if fewer follow when the rate falls: vendors also shed load at
-- random, and then going slower costs calls and spares none. So each suspicion is tried out, like in a trial of a drug:
--   steady  refusals are held against what is known of them; too many: sample
--   sample  fresh answers tell which share is refused
--   less    at the rate that came through. Refusals go: that is the limit. They stay: they are noise, back to before
--   more    below the limit, now and then: a few calls at a higher rate, to find out whether the vendor allows more
--   shut    nothing at all comes through: halved down to a knock at the door, and back up by leaps when it opens
-- By likelihood ratios (A. Wald, "Sequential Tests of Statistical Hypotheses", 1945; E. S. Page, "Continuous Inspection
-- Schemes", 1954). The figures are those with which ops/bench/rate_learning.py measured best.
local contract = require('contract')
local closed_door = require('vendor.closed_door')
local rate_share = require('vendor.rate_share')
local suspicion = require('vendor.rate_suspicion')
local trial = require('vendor.rate_trial')
local fleet, PHASE = contract.fleet, contract.PHASE

local ON = {
  [PHASE.steady] = suspicion.steady,
  [PHASE.sample] = suspicion.sample,
  [PHASE.less] = suspicion.less,
  [PHASE.more] = trial.record,
}
local BUDGET, YOUNG, FADE, PATIENCE = 0.010, 300, 200, 10

-- A refusal more than the usual is a debt, which answers pay off: below the limit no more is tried than can be paid
-- for, and the younger the limit, the more.
local function keep_books(refused)
  fleet.known = fleet.known + 1
  local paid = 1.3 * fleet.noise + BUDGET * (1 + YOUNG / (FADE + fleet.known))
  fleet.debt = math.min(math.max(fleet.debt + (refused and 1 or 0) - paid, -1), 3 + 0.1 * rate_share.calls_per_s())
end

-- Take in the answer to a call that was made at `began`.
local function record(refused, began)
  if fleet.rate_floor >= 1 then return end
  fleet.in_a_row = refused and fleet.in_a_row + 1 or 0
  if fleet.rate_factor < 1 then keep_books(refused) end
  if fleet.phase == PHASE.shut then return closed_door.record(refused, began) end
  local all_refused = fleet.in_a_row >= PATIENCE * 2 ^ fleet.shut_patience
  if all_refused and fleet.noise < 0.5 and fleet.rate_factor > closed_door.knocks() then
    return closed_door.begin()
  end
  if began < fleet.phase_from then return end
  fleet.phase_answers = fleet.phase_answers + 1
  if refused then fleet.phase_refused = fleet.phase_refused + 1 end
  ON[fleet.phase](refused, began)
end

return {
  record = record,
}
