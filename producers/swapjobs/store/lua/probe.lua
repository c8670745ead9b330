-- Part: the breaker's probes, one at a time, each with another job, with growing pauses in between; and where jobs wait.
-- needs: traffic, line, place
local FIRST_PROBE_MS, PARKED_MS = 1000, 600000
local ACCOUNT = {credentials_rejected = true, quota_exhausted = true}

-- Where the account is refused a person has to act: no need to ask so often.
local function patience()
  return ACCOUNT[OUTAGES[T.tripped]] and 6 or 1
end

-- It may be out for as long as the longest pause; then the next one goes, whatever became of it.
local function begin_probe(id)
  T.probe_at = now_ms + math.max(T.probe_gap, T.probe_most * patience())
  redis.call('SADD', K.probes, id)
end

-- `told`: it failed. Else it told nothing, and another may ask at once.
local function end_probe(id, told)
  if redis.call('SREM', K.probes, id) == 0 then return false end
  if told then T.probe_gap = math.min(T.probe_gap * 2, T.probe_most * patience()) end
  T.probe_at = now_ms + (told and T.probe_gap or 0)
  return true
end

local function wait_in_line(id, job)
  enter(id, job, TARGET.hold, 'reason', 'vendor_outage')
  redis.call('HDEL', K.job .. id, 'next_attempt_at')
  stand_in_line(job.priority, job.tenant, id, true)
end

-- The next probe is another job's: this one waits aside until the line opens, or until nobody else is left to ask.
local function park(id, job)
  enter(id, job, TARGET.hold, 'reason', 'vendor_outage')
  redis.call('ZADD', K.parked, now_ms, id)
  redis.call('ZADD', K.wake, now_ms + PARKED_MS, 'retry:' .. id)
end
