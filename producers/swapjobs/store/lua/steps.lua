-- Part: what is done to all jobs of a batch, some at a time: the batch's hash holds what, and how far it is. The client
-- makes steps, and a wake-up as long as there is more to do.
-- needs: traffic, line, place, finish, batch, stopped
local LOOKED_AT, CHANGED, RETRIED, PUT_BACK = 200, 50, 25, 100  -- some ms each

-- Nothing of it starts, or again. Both where that is so already.
local function stop_or_start(name)
  local known = redis.call('HMGET', K.batch .. name, 'paused', 'doing')
  redis.call((known[1] or known[2] == 'cancel') and 'SADD' or 'SREM', K.stopped, name)
  T.stopped = redis.call('SCARD', K.stopped)
end

-- With the places that they had. Returns whether there is more.
local function put_back(name)
  local popped = redis.call('ZPOPMIN', K.set_aside .. name, PUT_BACK)
  for i = 1, #popped, 2 do
    local job = read(popped[i])
    if job and MOVES.start[job.state] then
      redis.call('ZADD', K.line .. job.priority .. ':' .. job.tenant, popped[i + 1], popped[i])
      take_turn(job.priority, job.tenant, true)
    end
  end
  return #popped == 2 * PUT_BACK
end

local function is_meant(id, job, doing, code)
  if doing == 'cancel' then return MOVES.cancel[job.state] end
  if code == STATE.expired then return job.state == STATE.expired end
  return job.state == STATE.failed and (code == '' or redis.call('HGET', K.job .. id, 'code') == code)
end

-- Returns more, full (it can't go on now), or nothing: it is through.
local function look_through(name, doing, code, from, last)
  local entries = redis.call('XRANGE', K.index .. name, from and '(' .. from or '-', last, 'COUNT', LOOKED_AT)
  local most, changed, at = doing == 'cancel' and CHANGED or RETRIED, {}, nil
  for _, entry in ipairs(entries) do
    at = entry[1]
    local id = entry[2][2]
    local job = read(id)
    if job and job.batch and job.tenant .. ':' .. job.batch == name and is_meant(id, job, doing, code) then
      if doing == 'cancel' then finish(id, job, TARGET.cancel) end
      changed[#changed + 1] = id
      if #changed == most then break end
    end
  end
  if doing == 'retry' and #changed > 0 then
    if T.full == 1 then return 'full' end
    bodies.retry({RETRY_LINE, unpack(changed)})
  end
  if at then redis.call('HSET', K.batch .. name, 'cursor', at) end
  if #changed == most or #entries == LOOKED_AT then return 'more' end
end

-- Returns done, more, or full: nothing can be retried now.
local function step_batch(name)
  local key = K.batch .. name
  local known = redis.call('HMGET', key, 'paused', 'doing', 'code', 'cursor', 'last')
  local paused, doing = known[1], known[2]
  if not doing then return 'done' end
  if not paused and doing ~= 'cancel' and put_back(name) then return 'more' end
  local more = doing ~= 'resume' and look_through(name, doing, known[3] or '', known[4], known[5])
  if more then return more end
  redis.call('HDEL', key, 'doing', 'code', 'cursor', 'last')
  stop_or_start(name)
  complete_if_done(name)
  if paused or redis.call('EXISTS', K.set_aside .. name) == 0 then return 'done' end
  redis.call('HSET', key, 'doing', 'resume')  -- of jobs that came while it was being cancelled
  return 'more'
end

-- Its time is over, unless it is in use again.
local function forget_batch(name)
  local left = redis.call('PTTL', K.batch .. name)
  if left >= 0 then redis.call('ZADD', K.wake, now_ms + left + 1, 'ended:' .. name) end
  if left ~= -2 then return end
  local tenant, batch = string.match(name, '^([^:]+):(.+)$')
  redis.call('ZREM', K.batches .. tenant, batch)
  redis.call('DEL', K.set_aside .. name)
  if redis.call('SREM', K.stopped, name) == 1 then T.stopped = redis.call('SCARD', K.stopped) end
end
