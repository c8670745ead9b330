-- Part: the breaker. It trips when the vendor fails: the line is closed, jobs that met it are spared, probes ask on.
-- needs: traffic, line, place, window, probe
local FLAP_MS, MOST_SPARED = 60000, 200

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
  T.tripped, T.tripped_at, T.streak = OUTAGE[why], now_ms, 0
  local before = now - T.reset_at < FLAP_MS and T.probe_gap or 0  -- soon after the last time: go on where it was
  T.probe_gap = math.max(before, math.min(FIRST_PROBE_MS, T.probe_most) * patience())
  T.probe_at = now_ms + T.probe_gap
  count('outages')
  redis.call('ZREM', set, now_told)  -- this one is not charged yet
  for _, member in ipairs(redis.call('ZRANGE', set, -MOST_FAILURES, -1)) do take_back(member) end
  redis.call('DEL', K.failures, K.refused, K.probes)
  T.refusals = 0
end

local function reset()
  T.tripped, T.reset_at = 0, now_ms
  for _, id in ipairs(redis.call('ZRANGE', K.parked, 0, -1)) do
    local job = read(id)
    if job and redis.call('ZREM', K.wake, 'retry:' .. id) == 1 then wait_in_line(id, job) end
  end
  redis.call('DEL', K.parked, K.probes)
end
