-- Part: the end of a job, and where it stood before. Finishing and scheduling the webhook are one step.
-- needs: clock, line, traffic, refill
local TOMBSTONE_MS = 40 * 86400 * 1000

-- Written anew and not appended: APPEND keeps as much room again in reserve.
local function add_to_history(id, line)
  redis.call('SET', K.history .. id, (redis.call('GET', K.history .. id) or '') .. '\n' .. line, 'KEEPTTL')
end

local function expire(id)
  redis.call('PEXPIRE', K.job .. id, RESULT_TTL_MS)
  redis.call('PEXPIRE', K.history .. id, RESULT_TTL_MS)
end

-- Take the job out of the one place where it stands for its next attempt.
local function leave_place(id, job)
  if job.state == STATE.running then
    redis.call('ZREM', K.wake, 'lease:' .. id)
    count_in_flight(-1)
  elseif redis.call('ZREM', K.hints .. job.priority, id) == 0
      and redis.call('ZREM', K.wake, 'retry:' .. id, 'poll:' .. id, 'verdict:' .. id) == 0 then
    leave_line(job.priority, job.tenant, id)
  end
end

-- The same for its webhook.
local function leave_hook_place(id, host)
  if redis.call('ZREM', K.wake, 'delivery:' .. id) == 0 and redis.call('ZREM', K.hints .. 'webhooks', id) == 0 then
    leave_line('webhooks', host, id)
  end
end

-- `job` holds state, tenant, priority, fingerprint, generation, expires_at and hook_host as read from the record.
local function finish(id, job, state)
  leave_place(id, job)
  redis.call('HSET', K.job .. id, 'state', state, 'finished_at', now_ms)
  redis.call('HDEL', K.job .. id, 'next_attempt_at', 'reason')
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

local PLACE_FIELDS = {'state', 'tenant', 'priority', 'fingerprint', 'generation', 'expires_at', 'claims', 'step',
                      'hook', 'hook_host'}
local function read(id)
  local values, job = redis.call('HMGET', K.job .. id, unpack(PLACE_FIELDS)), {}
  for i, name in ipairs(PLACE_FIELDS) do job[name] = values[i] or nil end
  job.claims = tonumber(job.claims or 0)
  return job.state and job or nil
end
