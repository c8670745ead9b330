-- A job's end. Finishing and scheduling the webhook are one step.
local contract = require('contract')
local clock = require('fleet.clock')
local metrics = require('fleet.metrics')
local retention = require('fleet.retention')
local jobs = require('jobs.job')
local refill = require('queue.refill')
local history = require('records.history')
local continuations = require('webhooks.continuations')
local notifications = require('webhooks.notifications')
local keys, STATE = contract.keys, contract.STATE

local TOMBSTONE_MS = 40 * 86400 * 1000

-- `job` as `read` returns it, with `facts` and `code` where they are known (fleet/metrics); `line` the last of its
-- history. A call that is under way stays counted: its worker tells
-- when it is over, or its lease ends.
local function finish(id, job, state, line)
  local stopped = state == STATE.cancelled or state == STATE.expired
  if not (stopped and job.state == STATE.running) then jobs.detach(id, job) end
  local waited = job.state == STATE.waiting
  jobs.set_state(id, job, state, 'finished_at', clock.now_ms)
  metrics.observe_end(id, job, state, clock.now_ms)
  if waited then redis.call('HDEL', keys.job .. id, 'next_attempt_at', 'reason') end
  -- where another end came first, `step` tells a retry whether the outcome of the last call is known
  if state == STATE.succeeded then redis.call('HDEL', keys.job .. id, 'next_call', 'sent_at') end
  if job.expires_at then redis.call('ZREM', keys.schedule, 'expiry:' .. id) end
  local ttl_ms = retention(job.tenant)
  local tombstone = table.concat({job.fingerprint, job.tenant, job.generation or 1}, ' ')
  redis.call('SET', keys.tombstone .. id, tombstone, 'PX', ttl_ms + TOMBSTONE_MS)
  local is_told = job.continued and continuations.tell_all(id, job.tenant)
  if notifications.notify_job_finished(id, job, state) or is_told then
    history.append(id, line or '')
    refill.webhooks()
  else
    history.expire(id, ttl_ms, line)
  end
end

return finish
