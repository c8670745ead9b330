-- Part: the calls of the last time, as far as the breaker wants to know them.
-- needs: traffic
local MOST_FAILURES = 1000
local DIFFERENT_JOBS = 3  -- so many can't all have a fault of their own

-- Answers are counted in two halves of the window: cheap, and exact enough for a share.
local function count_answer()
  local bucket = math.floor(now / (T.window / 2))
  if bucket ~= T.bucket then
    T.answers_before, T.answers, T.bucket = bucket == T.bucket + 1 and T.answers or 0, 0, bucket
  end
  T.answers, T.streak = T.answers + 1, 0
end

local function answers_in_window()
  local age = math.floor(now / (T.window / 2)) - T.bucket
  return age == 0 and T.answers + T.answers_before or age == 1 and T.answers or 0
end

local function member_of(id, fence, charged)
  return string.format('%s:%.0f:%d', id, fence, charged and 1 or 0)
end

-- A failed call, as `job id:fence:charged` with its time, in `set`; what is older than `age` is forgotten.
local function note(set, member, age)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now_ms - age)
  redis.call('ZADD', set, now_ms, member)
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
  return math.ceil(math.max(T.window, 10 * T.interval))
end

local function failed_in_window()
  return redis.call('ZCOUNT', K.failures, now_ms - window_ms(), '+inf')
end

-- Whether an outage is out of the question: nothing but answers, for all that matters.
local function vendor_works()
  return T.tripped == 0 and answers_in_window() >= math.max(T.failures, 2 * failed_in_window() / T.share)
end

-- Too many failed, and it can't be one job's own fault: what certainly is the vendor's (`sure`), or different jobs. Either a
-- share of the calls in the window, or so many without an answer between, however long it took: few slots and a vendor
-- that hangs fill no window.
local function vendor_is_down(sure)
  local failed = failed_in_window()
  local by_share = failed >= T.failures and failed >= T.share * (failed + answers_in_window())
  if not by_share and T.streak < 2 * T.failures then return false end
  return sure or different_jobs(K.failures) >= DIFFERENT_JOBS
end
