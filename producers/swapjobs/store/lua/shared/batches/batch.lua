-- Batches: how long they are kept, and when they are complete.
local contract = require('contract')
local clock = require('fleet.clock')
local retention = require('fleet.retention')
local notifications = require('webhooks.notifications')
local keys, fleet, UNFINISHED_STATES = contract.keys, contract.fleet, contract.UNFINISHED_STATES

-- Returns how many jobs of a batch are unfinished.
local function left_in(key)
  local left = 0
  for _, number in ipairs(redis.call('HMGET', key, unpack(UNFINISHED_STATES))) do left = left + (number or 0) end
  return left
end

-- Keeps a batch without unfinished jobs as long as its jobs' records: one that nobody closes goes too.
local function keep_for_a_while(name)
  local ttl_ms = retention(string.match(name, '^[^:]+'))
  redis.call('PEXPIRE', keys.batch .. name, ttl_ms)
  redis.call('PEXPIRE', keys.index .. name, ttl_ms)
  redis.call('ZADD', keys.schedule, clock.now_ms + ttl_ms, 'forget_batch:' .. name)
end

-- Keeps a batch with unfinished jobs for ever.
local function keep(name)
  redis.call('PERSIST', keys.batch .. name)
  redis.call('PERSIST', keys.index .. name)
end

-- Makes the batch unless it is there; returns whether it takes no more jobs.
local function open(tenant, batch)
  local name = tenant .. ':' .. batch
  local known = redis.call('HMGET', keys.batch .. name, 'created_at', 'closed_at')
  if not known[1] then
    -- held by an operation on a batch of this name that is gone
    if fleet.batches_held > 0 then
      fleet.batches_held = fleet.batches_held - redis.call('SREM', keys.held_batches, name)
    end
    redis.call('HSET', keys.batch .. name, 'created_at', clock.now_ms, 'round', 1)
    redis.call('ZADD', keys.batches .. tenant, clock.now_ms, batch)
    keep_for_a_while(name)
  end
  return known[2]
end

local function complete(name)
  local key, tenant, batch = keys.batch .. name, string.match(name, '^([^:]+):(.+)$')
  redis.call('HSET', key, 'completed_at', clock.now_ms)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  notifications.publish_event(tenant, 'batch.completed', batch, cjson.encode(fields), fields.callback_url or '')
end

-- Completes a batch that is closed and has no unfinished job: once, since it stays so until a retry. Some of the jobs
-- that are retried may end before the rest was looked at: that is still one round.
local function complete_if_done(name)
  if left_in(keys.batch .. name) > 0 then return end
  keep_for_a_while(name)
  local known = redis.call('HMGET', keys.batch .. name, 'closed_at', 'completed_at', 'operation')
  if known[1] and not known[2] and known[3] ~= 'retry' then complete(name) end
end

return {
  keep = keep,
  open = open,
  complete_if_done = complete_if_done,
}
