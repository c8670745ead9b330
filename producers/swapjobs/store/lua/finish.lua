-- Part: a job's end. Finishing and scheduling the webhook are one step.
-- needs: traffic, line, refill, place, history, tell
local TOMBSTONE_MS = 40 * 86400 * 1000

-- `job` as `read` returns it, `line` the last of its history. A call that is under way stays counted: its worker tells when
-- it is over, or its lease ends.
local function finish(id, job, state, line)
  local stopped = state == STATE.cancelled or state == STATE.expired
  if not (stopped and job.state == STATE.running) then leave_place(id, job) end
  local waited = job.state == STATE.waiting
  enter(id, job, state, 'finished_at', now_ms)
  if waited then redis.call('HDEL', K.job .. id, 'next_attempt_at', 'reason') end
  -- where another end came first, `step` tells a retry whether the outcome of the last call is known
  if state == STATE.succeeded then redis.call('HDEL', K.job .. id, 'step', 'sent_at') end
  if job.expires_at then redis.call('ZREM', K.wake, 'expiry:' .. id) end
  redis.call('SET', K.tombstone .. id, table.concat({job.fingerprint, job.tenant, job.generation or 1}, ' '), 'PX', RESULT_TTL_MS + TOMBSTONE_MS)
  if tell_of_job(id, job, state) then
    add_to_history(id, line or '')
    refill_webhooks()
  else
    expire(id, line)
  end
end
