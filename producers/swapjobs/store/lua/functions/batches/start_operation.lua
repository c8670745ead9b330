-- Close, pause, resume, cancel or retry a batch. What takes long is only begun here: see operations/batch_operation.
-- ARGV: tenant, batch, what, error code of those to retry or ""
-- Returns ok or gone.
local contract = require('contract')
local clock = require('fleet.clock')
local batches = require('batches.batch')
local batch_operation = require('operations.batch_operation')
local refill = require('queue.refill')
local keys = contract.keys

local function call(args)
  local name, what = args[1] .. ':' .. args[2], args[3]
  local key = keys.batch .. name
  local known = redis.call('HMGET', key, 'created_at', 'operation')
  if not known[1] then return 'gone' end
  local function begin_to(doing, ...)
    redis.call('HSET', key, 'operation', doing, ...)
    redis.call('ZADD', keys.schedule, clock.now_ms, 'batch:' .. name)
  end
  if what == 'close' then
    redis.call('HSETNX', key, 'closed_at', clock.now_ms)
    batches.complete_if_done(name)
  elseif what == 'pause' then
    redis.call('HSET', key, 'paused', 1)
    if known[2] == 'resume' then redis.call('HDEL', key, 'operation') end
  elseif what == 'resume' then
    redis.call('HDEL', key, 'paused', 'last_end')
    if not known[2] and redis.call('EXISTS', keys.held .. name) == 1 then begin_to('resume') end
  else
    -- those that are there now; a later one of the two takes the place of the one before
    local last = redis.call('XREVRANGE', keys.index .. name, '+', '-', 'COUNT', 1)[1]
    redis.call('HDEL', key, 'cursor')
    if last then begin_to(what, 'code', args[4], 'last', last[1]) end
  end
  batch_operation.update_hold(name)
  refill.swaps()
  refill.webhooks()
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
