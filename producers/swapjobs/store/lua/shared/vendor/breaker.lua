-- The breaker. It trips when the vendor fails: dispatch is paused, jobs that met it are not charged, probes ask on.
local contract = require('contract')
local clock = require('fleet.clock')
local counters = require('fleet.counters')
local records = require('records.record')
local failure_window = require('vendor.failure_window')
local probes = require('vendor.probes')
local keys, fleet, UNFINISHED, OUTAGE = contract.keys, contract.fleet, contract.UNFINISHED, contract.OUTAGE

local FLAP_MS, MAX_UNCHARGED = 60000, 200

-- Says whether this job's failure is taken for the vendor's, and not charged. One that has met as many outages as it
-- may have failures is suspected of being their cause; so is one that was not charged for very long without a sure
-- sign of an outage.
local function uncharge(job, says)
  local since = string.format('%.0f', fleet.tripped_at)
  local outages, uncharged = tonumber(job.outages or 0), tonumber(job.uncharged or 0)
  if job.outage ~= since then
    if outages >= fleet.max_attempts then return false end
    outages, uncharged = outages + 1, 0
  end
  if uncharged >= MAX_UNCHARGED and says ~= 'outage' then return false end
  records.set(job, 'outage', since, 'outages', outages, 'uncharged', uncharged + 1)
  return true
end

-- Failures shortly before were the outage already: what was charged for them is given back.
local function take_back(member)
  local id, charged = string.match(member, '^([^:]+):%d+:(%d)$')
  local job = records.read(id)
  if not job or not UNFINISHED[job.state] or not uncharge(job, 'outage') then return end
  records.clear(job, 'failed_lookups', 'failed_lookups_since')
  if charged == '1' and tonumber(job.attempts or 0) > 0 then records.increase(job, 'attempts', -1) end
  if redis.call('ZREM', keys.schedule, 'retry:' .. id, 'final_failure:' .. id) > 0 then probes.requeue(id, job) end
end

local function trip(why, set, now_told)
  fleet.tripped, fleet.tripped_at, fleet.streak = OUTAGE[why], clock.now_ms, 0
  -- soon after the last time: go on where it was
  local before = clock.now - fleet.reset_at < FLAP_MS and fleet.probe_gap or 0
  fleet.probe_gap = math.max(before, math.min(probes.FIRST_PROBE_MS, fleet.probe_most) * probes.patience())
  fleet.probe_at = clock.now_ms + fleet.probe_gap
  counters.add('outages')
  redis.call('ZREM', set, now_told)  -- this one is not charged yet
  for _, member in ipairs(redis.call('ZRANGE', set, -failure_window.MOST_FAILURES, -1)) do take_back(member) end
  redis.call('DEL', keys.failures, keys.refused, keys.probes)
  fleet.refusals = 0
end

local function reset()
  fleet.tripped, fleet.reset_at = 0, clock.now_ms
  for _, id in ipairs(redis.call('ZRANGE', keys.parked, 0, -1)) do
    local job = records.read(id)
    if job and redis.call('ZREM', keys.schedule, 'retry:' .. id) == 1 then probes.requeue(id, job) end
  end
  redis.call('DEL', keys.parked, keys.probes)
end

return {
  uncharge = uncharge,
  trip = trip,
  reset = reset,
}
