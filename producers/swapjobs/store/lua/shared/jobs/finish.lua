-- A job's end. Finishing and scheduling the webhook are one step.
local contract = require('contract')
local clock = require('fleet.clock')
local metrics = require('fleet.metrics')
local retention = require('fleet.retention')
local jobs = require('jobs.job')
local refill = require('queue.refill')
local records = require('records.record')
local tombstones = require('records.tombstones')
local continuations = require('webhooks.continuations')
local notifications = require('webhooks.notifications')
local keys, STATE = contract.keys, contract.STATE

-- `job` is its record, with `call` where one ended it (fleet/metrics); `line` the last of its history. A call that
-- is under way stays counted: its worker tells when it is over, or its lease ends.
local function finish(id, job, state, line)
  local stopped = state == STATE.cancelled or state == STATE.expired
  if not (stopped and job.state == STATE.running) then jobs.detach(id, job) end
  local waited = job.state == STATE.waiting
  jobs.set_state(id, job, state)
  records.set_span(job, 'ran_ms', clock.now_ms - job.created_at - (job.waited_ms or 0))
  metrics.observe_end(job, state, clock.now_ms)
  if waited then records.clear(job, 'next_attempt_at', 'reason') end
  -- where another end came first, `step` tells a retry whether the outcome of the last call is known
  if state == STATE.succeeded then records.clear(job, 'next_call', 'sent_at') end
  if job.expires_at then redis.call('ZREM', keys.schedule, 'expiry:' .. id) end
  local ttl_ms = retention(job.tenant)
  tombstones.bury(job, ttl_ms)
  records.append(job, line or '')
  local is_told = job.continued and continuations.tell_all(id, job.tenant)
  if notifications.notify_job_finished(id, job, state) or is_told then
    refill.webhooks()
  else
    records.expire(job, ttl_ms)
  end
end

return finish
