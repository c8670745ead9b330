-- The breaker's probes, one at a time, each with another job, with growing pauses in between; and where jobs wait.
local contract = require('contract')
local clock = require('fleet.clock')
local jobs = require('jobs.job')
local fair = require('queue.fair')
local records = require('records.record')
local keys, fleet, OUTAGES, TARGET = contract.keys, contract.fleet, contract.OUTAGES, contract.TARGET

local FIRST_PROBE_MS, PARKED_MS = 1000, 600000
local ACCOUNT = {credentials_rejected = true, quota_exhausted = true}

-- Where the account is refused a person has to act: no need to ask so often.
local function patience()
  return ACCOUNT[OUTAGES[fleet.tripped]] and 6 or 1
end

-- It may be out for as long as the longest pause; then the next one goes, whatever became of it.
local function start(id)
  fleet.probe_at = clock.now_ms + math.max(fleet.probe_gap, fleet.probe_most * patience())
  redis.call('SADD', keys.probes, id)
end

-- `told`: it failed. Else it told nothing, and another may ask at once.
local function finish(id, answer)
  if redis.call('SREM', keys.probes, id) == 0 then return false end
  if answer then fleet.probe_gap = math.min(fleet.probe_gap * 2, fleet.probe_most * patience()) end
  fleet.probe_at = clock.now_ms + (answer and fleet.probe_gap or 0)
  return true
end

local function requeue(id, job)
  jobs.set_state(id, job, TARGET.hold, 'reason', 'vendor_outage')
  records.clear(job, 'next_attempt_at')
  fair.enqueue(job.priority, job.tenant, id, true)
end

-- The next probe is another job's: this one waits until dispatch is resumed, or until nobody else is left to ask.
local function park(id, job)
  jobs.set_state(id, job, TARGET.hold, 'reason', 'vendor_outage')
  redis.call('ZADD', keys.parked, clock.now_ms, id)
  redis.call('ZADD', keys.schedule, clock.now_ms + PARKED_MS, 'retry:' .. id)
end

return {
  FIRST_PROBE_MS = FIRST_PROBE_MS,
  ACCOUNT = ACCOUNT,
  patience = patience,
  start = start,
  finish = finish,
  requeue = requeue,
  park = park,
}
