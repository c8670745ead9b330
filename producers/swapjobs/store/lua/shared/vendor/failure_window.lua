-- The calls of the last time, as far as the breaker wants to know them.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet = contract.keys, contract.fleet

local MOST_FAILURES = 1000
local DIFFERENT_JOBS = 3  -- so many can't all have a fault of their own

-- Answers are counted in two halves of the window: cheap, and exact enough for a share.
local function count_answer()
  local bucket = math.floor(clock.now / (fleet.window / 2))
  if bucket ~= fleet.bucket then
    fleet.answers_before, fleet.answers, fleet.bucket = bucket == fleet.bucket + 1 and fleet.answers or 0, 0, bucket
  end
  fleet.answers, fleet.streak = fleet.answers + 1, 0
end

local function answers_in_window()
  local age = math.floor(clock.now / (fleet.window / 2)) - fleet.bucket
  return age == 0 and fleet.answers + fleet.answers_before or age == 1 and fleet.answers or 0
end

local function member_of(id, fence, charged)
  return string.format('%s:%.0f:%d', id, fence, charged and 1 or 0)
end

-- A failed call, as `job id:fence:charged` with its time, in `set`; what is older than `age` is forgotten.
local function note(set, member, age)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', clock.now_ms - age)
  redis.call('ZADD', set, clock.now_ms, member)
  redis.call('PEXPIRE', set, math.ceil(age))
end

local function different_jobs(set)
  local seen, number = {}, 0
  for _, member in ipairs(redis.call('ZRANGE', set, -MOST_FAILURES, -1)) do
    local id = string.match(member, '^([^:]+):')
    if not seen[id] then seen[id], number = true, number + 1 end
  end
  return number
end

-- Ten intervals of a slow rate, else there would never be failures enough in it.
local function window_ms()
  return math.ceil(math.max(fleet.window, 10 * fleet.interval))
end

local function failed_in_window()
  return redis.call('ZCOUNT', keys.failures, clock.now_ms - window_ms(), '+inf')
end

-- Whether an outage is out of the question: nothing but answers, for all that matters.
local function vendor_works()
  return fleet.tripped == 0 and answers_in_window() >= math.max(fleet.failures, 2 * failed_in_window() / fleet.share)
end

-- Too many failed, and it can't be one job's own fault: what certainly is the vendor's (`sure`), or different jobs.
-- Either a share of the calls in the window, or so many without an answer between, however long it took: few slots and
-- a vendor that hangs fill no window.
local function vendor_is_down(sure)
  local failed = failed_in_window()
  local by_share = failed >= fleet.failures and failed >= fleet.share * (failed + answers_in_window())
  if not by_share and fleet.streak < 2 * fleet.failures then return false end
  return sure or different_jobs(keys.failures) >= DIFFERENT_JOBS
end

return {
  MOST_FAILURES = MOST_FAILURES,
  DIFFERENT_JOBS = DIFFERENT_JOBS,
  count_answer = count_answer,
  member_of = member_of,
  note = note,
  different_jobs = different_jobs,
  window_ms = window_ms,
  vendor_works = vendor_works,
  vendor_is_down = vendor_is_down,
}
