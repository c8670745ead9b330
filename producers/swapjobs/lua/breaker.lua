-- Part: the breaker. It trips when the vendor fails: the line is closed, jobs that met it are spared, probes ask on.
-- needs: clock, line, traffic, rate, refill, finish, window, probe
local FLAP_MS, REFUSED_MS, MOST_SPARED = 60000, 3600000, 200

-- Whether this job's failure is forgiven as the vendor's. One that has met as many outages as it may have failures is
-- suspected of being their cause; so is one that has been spared for very long without a sure sign of an outage.
local function forgive(id, says)
  local met = redis.call('HMGET', K.job .. id, 'outage', 'outages', 'spared')
  local since, outages, spared = string.format('%.0f', T.tripped_at), tonumber(met[2] or 0), tonumber(met[3] or 0)
  if met[1] ~= since then
    if outages >= T.max_attempts then return false end
    outages, spared = outages + 1, 0
  end
  if spared >= MOST_SPARED and says ~= 'outage' then return false end
  redis.call('HSET', K.job .. id, 'outage', since, 'outages', outages, 'spared', spared + 1)
  return true
end

-- Failures shortly before were the outage already: what was charged for them is given back.
local function take_back(member)
  local id, charged = string.match(member, '^([^:]+):%d+:(%d)$')
  local job = read(id)
  if not job or not MOVES.cancel[job.state] or not forgive(id, 'outage') then return end
  redis.call('HDEL', K.job .. id, 'misses', 'missed_since')
  if charged == '1' and tonumber(redis.call('HGET', K.job .. id, 'attempts') or 0) > 0 then
    redis.call('HINCRBY', K.job .. id, 'attempts', -1)
  end
  if redis.call('ZREM', K.wake, 'retry:' .. id, 'verdict:' .. id) > 0 then wait_in_line(id, job) end
end

local function trip(why, set, now_told)
  T.tripped, T.tripped_at = why, now_ms
  local before = now - T.reset_at < FLAP_MS and T.probe_gap or 0  -- soon after the last time: go on where it was
  T.probe_gap = math.max(before, math.min(FIRST_PROBE_MS, T.probe_most) * patience())
  T.probe_at = now_ms + T.probe_gap
  redis.call('HSET', K.traffic, 'tripped', why, 'tripped_at', now_ms, 'probe', '', 'probe_gap', T.probe_gap,
             'probe_at', T.probe_at, 'streak', 0)
  count('outages')
  redis.call('ZREM', set, now_told)  -- this one is not charged yet
  for _, member in ipairs(redis.call('ZRANGE', set, -MOST_FAILURES, -1)) do take_back(member) end
  redis.call('DEL', K.failures, K.refused, K.probes)
end

local function reset()
  T.tripped, T.reset_at = '', now_ms
  redis.call('HSET', K.traffic, 'tripped', '', 'probe', '', 'reset_at', now_ms)
  for _, id in ipairs(redis.call('ZRANGE', K.parked, 0, -1)) do
    local job = read(id)
    if job and redis.call('ZREM', K.wake, 'retry:' .. id) == 1 then wait_in_line(id, job) end
  end
  redis.call('DEL', K.parked, K.probes)
end

-- Take in what a call says of the vendor: answer, failure (perhaps the job's own), outage (certainly not), the code of a
-- refused account, or nothing (""). Returns whether the line is closed and this job's failure forgiven.
local function hear(says, id, member, succeeded)
  if says == '' then return false end
  if says == 'answer' then count_answer() end
  if succeeded then redis.call('DEL', K.refused) end
  -- to a vendor that was down a refused account is an answer too
  local alive = says == 'answer' or ACCOUNT[says] and T.tripped == 'vendor_outage'
  if alive and T.tripped ~= '' and redis.call('SISMEMBER', K.probes, id) == 1 then reset() end
  if says == 'answer' then return false end
  if T.tripped == '' and ACCOUNT[says] then
    note(K.refused, member, REFUSED_MS)
    if different_jobs(K.refused) >= DIFFERENT_JOBS then trip(says, K.refused, member) end
  elseif T.tripped == '' then
    note(K.failures, member, T.remembered)
    T.streak = redis.call('HINCRBY', K.traffic, 'streak', 1)
    if vendor_is_down(says == 'outage') then trip('vendor_outage', K.failures, member) end
  end
  return T.tripped ~= '' and forgive(id, says)
end

-- After `hear` forgave: the job goes where it waits for the outage's end; what a probe told is used up.
local function spare(id, job)
  redis.call('HDEL', K.job .. id, 'misses', 'missed_since')
  if end_probe(id, true) then park(id) else wait_in_line(id, job) end
end
