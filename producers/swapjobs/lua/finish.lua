-- Part: a job's end. Finishing and scheduling the webhook are one step.
-- needs: traffic, line, refill, place
local TOMBSTONE_MS = 40 * 86400 * 1000

-- Written anew and not appended: APPEND keeps as much room again in reserve.
local function add_to_history(id, line, ttl_ms)
  if line == '' then return end
  local lines = (redis.call('GET', K.history .. id) or '') .. '\n' .. line
  if ttl_ms then
    redis.call('SET', K.history .. id, lines, 'PX', ttl_ms)
  else
    redis.call('SET', K.history .. id, lines, 'KEEPTTL')
  end
end

-- With its last line, if there is one.
local function expire(id, line)
  redis.call('PEXPIRE', K.job .. id, RESULT_TTL_MS)
  if line and line ~= '' then
    add_to_history(id, line, RESULT_TTL_MS)
  else
    redis.call('PEXPIRE', K.history .. id, RESULT_TTL_MS)
  end
end

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
  redis.call('SET', K.tombstone .. id, job.fingerprint .. ' ' .. (job.generation or 1), 'PX', RESULT_TTL_MS + TOMBSTONE_MS)
  if job.hook_host then
    redis.call('HSET', K.job .. id, 'hook', 'pending')
    add_to_history(id, line or '')
    stand_in_line('webhooks', job.hook_host, id, false)
    refill_webhooks()
  else
    expire(id, line)
  end
end
