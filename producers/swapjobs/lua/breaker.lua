-- Part: the breaker. It trips when the vendor fails: the line is closed, jobs that met the failure are spared, a few probes
-- ask on, and an answer to one of them resets it.
-- needs: clock, line, traffic, rate, refill, finish, window, probe
local FLAP_MS, REFUSED_MS = 60000, 3600000

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
      if different_jobs(K.refused) >= DIFFERENT_JOBS then trip(says, K.refused, id .. ':' .. fence) end
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
