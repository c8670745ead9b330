-- What is done to all jobs of a batch, some at a time: the batch's hash holds what, and how far it is. The client
-- makes steps, and an entry in the schedule as long as there is more to do.
local contract = require('contract')
local clock = require('fleet.clock')
local batches = require('batches.batch')
local finish_job = require('jobs.finish')
local ended_with = require('operations.error_code')
local retry = require('operations.retry')
local fair = require('queue.fair')
local records = require('records.record')
local keys, fleet, MOVES, STATE, TARGET = contract.keys, contract.fleet, contract.MOVES, contract.STATE, contract.TARGET

local LOOKED_AT, CANCELLED, RETRIED, RESTORED = 200, 50, 25, 100  -- jobs at a time: some ms each

-- Nothing of it starts, or again. Both where that is so already.
local function update_hold(name)
  local known = redis.call('HMGET', keys.batch .. name, 'paused', 'operation')
  redis.call((known[1] or known[2] == 'cancel') and 'SADD' or 'SREM', keys.held_batches, name)
  fleet.batches_held = redis.call('SCARD', keys.held_batches)
end

-- With the places that they had. Returns whether there is more.
local function restore_held(name)
  local popped = redis.call('ZPOPMIN', keys.held .. name, RESTORED)
  for i = 1, #popped, 2 do
    local job = records.read(popped[i])
    if job and MOVES.start[job.state] then
      redis.call('ZADD', keys.queue .. job.priority .. ':' .. job.tenant, popped[i + 1], popped[i])
      fair.join(job.priority, job.tenant, true)
    end
  end
  return #popped == 2 * RESTORED
end

local function is_meant(job, doing, code)
  if doing == 'cancel' then return MOVES.cancel[job.state] end
  if code == '' then return job.state == STATE.failed end
  return ended_with(job, code)
end

-- Returns more, full (it can't go on now), or nothing: it is through.
local function look_through(name, doing, code, from, last)
  local entries = redis.call('XRANGE', keys.index .. name, from and '(' .. from or '-', last, 'COUNT', LOOKED_AT)
  local limit, changed, at = doing == 'cancel' and CANCELLED or RETRIED, {}, nil
  for _, entry in ipairs(entries) do
    at = entry[1]
    local id = entry[2][2]
    local job = records.read(id)
    if job and job.batch and job.tenant .. ':' .. job.batch == name and is_meant(job, doing, code) then
      if doing == 'cancel' then finish_job(id, job, TARGET.cancel) end
      changed[#changed + 1] = id
      if #changed == limit then break end
    end
  end
  if doing == 'retry' and #changed > 0 then
    if fleet.memory_full == 1 then return 'full' end
    retry(changed)
  end
  if at then redis.call('HSET', keys.batch .. name, 'cursor', at) end
  if #changed == limit or #entries == LOOKED_AT then return 'more' end
end

-- Returns done, more, or full: nothing can be retried now.
local function continue(name)
  local key = keys.batch .. name
  local known = redis.call('HMGET', key, 'paused', 'operation', 'code', 'cursor', 'last')
  local paused, doing = known[1], known[2]
  if not doing then return 'done' end
  if not paused and doing ~= 'cancel' and restore_held(name) then return 'more' end
  local more = doing ~= 'resume' and look_through(name, doing, known[3] or '', known[4], known[5])
  if more then return more end
  redis.call('HDEL', key, 'operation', 'code', 'cursor', 'last')
  update_hold(name)
  batches.complete_if_done(name)
  if paused or redis.call('EXISTS', keys.held .. name) == 0 then return 'done' end
  redis.call('HSET', key, 'operation', 'resume')  -- of jobs that came while it was being cancelled
  return 'more'
end

-- Its time is over, unless it is in use again.
local function forget(name)
  local left = redis.call('PTTL', keys.batch .. name)
  if left >= 0 then redis.call('ZADD', keys.schedule, clock.now_ms + left + 1, 'forget_batch:' .. name) end
  if left ~= -2 then return end
  local tenant, batch = string.match(name, '^([^:]+):(.+)$')
  redis.call('ZREM', keys.batches .. tenant, batch)
  redis.call('DEL', keys.held .. name)
  if redis.call('SREM', keys.held_batches, name) == 1 then
    fleet.batches_held = redis.call('SCARD', keys.held_batches)
  end
end

return {
  update_hold = update_hold,
  continue = continue,
  forget = forget,
}
