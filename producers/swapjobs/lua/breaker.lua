-- Part: the breaker. It trips when the vendor fails: the line is closed, jobs that met the failure are spared, a few probes
-- ask on, and an answer to one of them resets it.
-- needs: clock, line, traffic, refill, finish
local FIRST_PROBE_MS, FLAP_MS, PARKED_MS, REFUSED_MS, REFUSED_JOBS, MOST_FAILURES = 1000, 60000, 600000, 3600000, 3, 1000
local ACCOUNT = {credentials_rejected = true, quota_exhausted = true}

-- Answers are counted in two halves of the window: cheap, and exact enough for a share.
local function count_answer()
  local bucket = math.floor(now / (T.window / 2))
  if bucket ~= T.bucket then
    T.answers_before, T.answers, T.bucket = bucket == T.bucket + 1 and T.answers or 0, 0, bucket
  end
  T.answers = T.answers + 1
  redis.call('HSET', K.traffic, 'bucket', bucket, 'answers', T.answers, 'answers_before', T.answers_before)
end

local function answers_in_window()
  local age = math.floor(now / (T.window / 2)) - T.bucket
  return age == 0 and T.answers + T.answers_before or age == 1 and T.answers or 0
end

-- A failed call, as `job id:fence` with its time, in `set`; what is older than `age` is forgotten.
local function note(set, id, fence, age)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now_ms - age)
  redis.call('ZADD', set, now_ms, id .. ':' .. fence)
  redis.call('PEXPIRE', set, age)
end

local function different_jobs(set)
  local seen, number = {}, 0
  for _, member in ipairs(redis.call('ZRANGE', set, -MOST_FAILURES, -1)) do
    local id = string.match(member, '^(.+):%d+$')
    if not seen[id] then seen[id], number = true, number + 1 end
  end
  return number
end

local function window_ms()
  return math.max(T.window, 10 * T.interval)
end

-- Whether an outage is out of the question: nothing but answers, for all that matters.
local function vendor_works()
  local failed = redis.call('ZCOUNT', K.failures, now_ms - window_ms(), '+inf')
  return T.tripped == '' and answers_in_window() >= math.max(T.failures, 2 * failed / T.share)
end

-- Too many failed, and it can't be one job's own fault: what certainly is the vendor's (`sure`), or different jobs.
local function vendor_is_down(sure)
  local failed = redis.call('ZCARD', K.failures)
  if failed < T.failures or failed < T.share * (failed + answers_in_window()) then return false end
  return sure or different_jobs(K.failures) >= REFUSED_JOBS
end

-- Whether this job's failure is forgiven: it is the vendor's. A job that has met as many outages as it may have failures
-- is suspected of being their cause.
local function forgive(id)
  local met = redis.call('HMGET', K.job .. id, 'outage', 'outages')
  local since = string.format('%.0f', T.tripped_at)
  if met[1] == since then return true end
  local outages = tonumber(met[2] or nil) or 0
  if outages >= T.max_attempts then return false end
  redis.call('HSET', K.job .. id, 'outage', since, 'outages', outages + 1)
  return true
end

local function wait_in_line(id, job)
  redis.call('HSET', K.job .. id, 'state', TARGET.hold, 'reason', 'vendor_outage')
  redis.call('HDEL', K.job .. id, 'next_attempt_at')
  stand_in_line(job.priority, job.tenant, id, true)
end

-- Failures shortly before were the outage already: what was charged for them is given back.
local function take_back(member)
  local id = string.match(member, '^(.+):%d+$')
  local job = read(id)
  if not job or not MOVES.cancel[job.state] or not forgive(id) then return end
  if (tonumber(redis.call('HGET', K.job .. id, 'attempts') or nil) or 0) > 0 then
    redis.call('HINCRBY', K.job .. id, 'attempts', -1)
  end
  if redis.call('ZREM', K.wake, 'retry:' .. id, 'verdict:' .. id) > 0 then wait_in_line(id, job) end
end

-- Where the account is refused a person has to act: no need to ask so often.
local function patience()
  return ACCOUNT[T.tripped] and 6 or 1
end

local function trip(why, set, now_told)
  T.tripped, T.tripped_at, T.probe = why, now_ms, ''
  local before = now - T.reset_at < FLAP_MS and T.probe_gap or 0  -- soon after the last time: go on where it was
  T.probe_gap = math.max(before, math.min(FIRST_PROBE_MS, T.probe_most) * patience())
  T.probe_at = now_ms + T.probe_gap
  redis.call('HSET', K.traffic, 'tripped', why, 'tripped_at', now_ms, 'probe', '', 'probe_gap', T.probe_gap,
             'probe_at', T.probe_at)
  count('outages')
  redis.call('ZREM', set, now_told)  -- this one is not charged yet
  for _, member in ipairs(redis.call('ZRANGE', set, -MOST_FAILURES, -1)) do take_back(member) end
  redis.call('DEL', K.failures, K.refused)
end

local function reset()
  T.tripped, T.reset_at = '', now_ms
  redis.call('HSET', K.traffic, 'tripped', '', 'probe', '', 'reset_at', now_ms)
  for _, id in ipairs(redis.call('ZRANGE', K.parked, 0, -1)) do
    local job = read(id)
    if job and redis.call('ZREM', K.wake, 'retry:' .. id) == 1 then wait_in_line(id, job) end
  end
  redis.call('DEL', K.parked)
end

local function begin_probe(id)
  T.probe, T.probe_at = id, now_ms + T.probe_gap
  redis.call('HSET', K.traffic, 'probe', id, 'probe_at', T.probe_at)
end

local function end_probe()
  T.probe, T.probe_gap = '', math.min(T.probe_gap * 2, T.probe_most * patience())
  T.probe_at = now_ms + T.probe_gap
  redis.call('HSET', K.traffic, 'probe', '', 'probe_gap', T.probe_gap, 'probe_at', T.probe_at)
end

-- The next probe is another job's: this one waits aside until the line opens, or until nobody else is left to ask.
local function park(id)
  redis.call('HSET', K.job .. id, 'state', TARGET.hold, 'reason', 'vendor_outage')
  redis.call('ZADD', K.parked, now_ms, id)
  redis.call('ZADD', K.wake, now_ms + PARKED_MS, 'retry:' .. id)
end

-- Take in what a call says of the vendor: answer, failure (perhaps the job's own), outage (certainly not), or the code of a
-- refused account; "" says nothing. Returns whether the line is closed and this job's failure forgiven.
local function hear(says, id, fence, succeeded)
  if says == 'answer' then
    count_answer()
    if succeeded then redis.call('DEL', K.refused) end
    if T.tripped ~= '' and T.probe == id then reset() end
    return false
  end
  if says == '' then return false end
  if T.tripped == '' then
    if ACCOUNT[says] then
      note(K.refused, id, fence, REFUSED_MS)
      if different_jobs(K.refused) >= REFUSED_JOBS then trip(says, K.refused, id .. ':' .. fence) end
    else
      note(K.failures, id, fence, window_ms())
      if vendor_is_down(says == 'outage') then trip('vendor_outage', K.failures, id .. ':' .. fence) end
    end
  end
  return T.tripped ~= '' and forgive(id)
end

-- After `hear` forgave: the job goes where it waits for the outage's end; what a probe told is used up.
local function spare(id, job)
  redis.call('HDEL', K.job .. id, 'misses', 'missed_since')
  if T.probe ~= id then return wait_in_line(id, job) end
  end_probe()
  park(id)
end
