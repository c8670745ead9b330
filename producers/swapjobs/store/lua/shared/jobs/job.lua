-- A job's state and the one place where it is: its queue, the ready queue, its lease, a time in the schedule, or held
-- with its batch.
local contract = require('contract')
local clock = require('fleet.clock')
local batch_counts = require('batches.counts')
local fair = require('queue.fair')
local ready = require('queue.ready')
local tenant_limits = require('queue.tenant_limits')
local records = require('records.record')
local keys, fleet, STATE = contract.keys, contract.fleet, contract.STATE

-- Every change of a job's state, with other fields that change: told to whoever waits for it, counted by its batch.
local function set_state(id, job, state, ...)
  local before = job.state
  records.set(job, 'state', state, ...)
  if state == before then return end
  redis.call('PUBLISH', keys.changed .. id, state)
  if job.batch then batch_counts.count_transition(job, before, state) end
end

-- Notes when the first call of a round is made, as how long the job waited for it.
local function note_start(job)
  if not job.waited_ms then records.set_span(job, 'waited_ms', clock.now_ms - job.created_at) end
end

-- Of the call that a lease stands for.
local function count_in_flight(job, change)
  fleet.in_flight = math.max(fleet.in_flight + change, 0)
  if job.priority == 'bulk' then fleet.bulk_in_flight = math.max(fleet.bulk_in_flight + change, 0) end
  if fleet.in_flight == 0 then fleet.bulk_in_flight = 0 end
  if job.tenant and tenant_limits.change(job.tenant, 'in_flight', change) and change < 0 then
    fair.rejoin_tenant(job.tenant)
  end
end

-- The call is over, or nobody knows of it any more.
local function end_lease(id, job)
  if redis.call('ZREM', keys.schedule, 'lease:' .. id) == 1 then count_in_flight(job, -1) end
end

-- Take the job out of the one place where it stands for its next attempt.
local function detach(id, job)
  if job.state == STATE.running then
    end_lease(id, job)
  elseif not ready.take(job.priority, job.tenant, id)
      and redis.call('ZREM', keys.schedule, 'retry:' .. id, 'poll:' .. id, 'final_failure:' .. id) == 0 then
    local stood = fair.remove(job.priority, job.tenant, id)
    if not stood and job.batch then redis.call('ZREM', keys.held .. job.tenant .. ':' .. job.batch, id) end
  end
end

return {
  set_state = set_state,
  note_start = note_start,
  count_in_flight = count_in_flight,
  end_lease = end_lease,
  detach = detach,
}
