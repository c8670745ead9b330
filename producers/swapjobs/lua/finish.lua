-- Part: a job's end. Finishing and scheduling the webhook are one step.
-- needs: traffic, line, refill, place
local TOMBSTONE_MS = 40 * 86400 * 1000

-- Written anew and not appended: APPEND keeps as much room again in reserve.
local function add_to_history(id, line)
  redis.call('SET', K.history .. id, (redis.call('GET', K.history .. id) or '') .. '\n' .. line, 'KEEPTTL')
end

local function expire(id)
  redis.call('PEXPIRE', K.job .. id, RESULT_TTL_MS)
  redis.call('PEXPIRE', K.history .. id, RESULT_TTL_MS)
end

-- `job` as `read` returns it. A call that is under way stays counted: its worker tells when it is over, or its lease ends.
local function finish(id, job, state)
  local stopped = state == STATE.cancelled or state == STATE.expired
  if not (stopped and job.state == STATE.running) then leave_place(id, job) end
  redis.call('HSET', K.job .. id, 'state', state, 'finished_at', now_ms)
  if job.state == STATE.waiting then redis.call('HDEL', K.job .. id, 'next_attempt_at', 'reason') end
  -- where another end came first, `step` tells a retry whether the outcome of the last call is known
  if state == STATE.succeeded then redis.call('HDEL', K.job .. id, 'step', 'sent_at') end
  if job.expires_at then redis.call('ZREM', K.wake, 'expiry:' .. id) end
  redis.call('SET', K.tombstone .. id, job.fingerprint .. ' ' .. (job.generation or 1), 'PX', RESULT_TTL_MS + TOMBSTONE_MS)
  if job.hook_host then
    redis.call('HSET', K.job .. id, 'hook', 'pending')
    stand_in_line('webhooks', job.hook_host, id, false)
    refill_webhooks()
  else
    expire(id)
  end
  redis.call('PUBLISH', K.finished .. id, state)
end
