-- The dispatcher's step: handle what is due, publish lost messages again, refill. One worker at a time does it.
-- ARGV: worker, lease in ms (the grace after a gap), how many members at most, whether this worker dispatched or tried
--   to before (stayed, or new)
-- Returns {members handled, ms until the next look}; {-1, 0} where another worker's dispatcher is at work.
local contract = require('contract')
local clock = require('fleet.clock')
local counters = require('fleet.counters')
local clock_jump = require('fleet.clock_jump')
local memory_guard = require('fleet.memory_guard')
local metrics = require('fleet.metrics')
local finish_job = require('jobs.finish')
local job_index = require('jobs.index')
local jobs = require('jobs.job')
local batch_operation = require('operations.batch_operation')
local operation = require('operations.operation')
local batch_hold = require('queue.batch_hold')
local fair = require('queue.fair')
local receiver_limits = require('queue.receiver_limits')
local refill = require('queue.refill')
local republish_lost_messages = require('queue.republish_lost')
local records = require('records.record')
local tombstones = require('records.tombstones')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local keys, fleet, MOVES, TARGET = contract.keys, contract.fleet, contract.MOVES, contract.TARGET

local function call(args)
  local LEADER_MS, GAP_MS, JUMP_MS, TICK_MS, COLLECT_MS = 2000, 5000, 1000, 250, 10000
  local leader = redis.call('GET', keys.dispatcher)
  local last = fleet.dispatched_at > 0 and fleet.dispatched_at or clock.now
  -- by the time as well: where the clock was put back, the key would outlive its holder for as long
  if leader and leader ~= args[1] and clock.now >= last and clock.now - last < LEADER_MS then return {-1, 0} end
  redis.call('SET', keys.dispatcher, args[1], 'PX', LEADER_MS)
  fleet.dispatched_at = clock.now_ms

  -- After a gap in which workers could not renew (Redis was down or frozen, the clock moved) every lease gets one more.
  -- A gap in which there was no worker at all needs none: who comes new to a server that ran through it sees that.
  local gap = clock.now - last > math.min(GAP_MS, args[2] / 2) and (args[4] == 'stayed' or fleet.epoch_at > last)
  if gap or last - clock.now > JUMP_MS then fleet.grace_until = math.floor(clock.now + args[2]) end
  local grace_until = math.min(fleet.grace_until, clock.now + args[2])

  if last - clock.now > JUMP_MS then clock_jump.shift_times(clock.now - last) end

  if math.floor(clock.now_ms / 1000) ~= math.floor(last / 1000) then
    memory_guard.check()
    tombstones.sweep()
  end
  if math.floor(clock.now_ms / COLLECT_MS) ~= math.floor(last / COLLECT_MS) then metrics.collect() end

  local function requeue(id, job)
    if MOVES.start[job.state] then fair.enqueue(job.priority, job.tenant, id, true) end
  end
  local handle = {
    retry = requeue,
    poll = requeue,
    -- its last failure was no outage's: see record_outcome.lua
    final_failure = function(id, job) if MOVES.start[job.state] then finish_job(id, job, TARGET.fail) end end,
    expiry = function(id, job) if MOVES.expire[job.state] then finish_job(id, job, TARGET.expire) end end,
    lease = function(id, job)
      if clock.now < grace_until then return redis.call('ZADD', keys.schedule, grace_until, 'lease:' .. id) end
      jobs.count_in_flight(job, -1)
      if not MOVES.rescue[job.state] then return end  -- stopped while its call was under way
      counters.add('rescued')
      jobs.set_state(id, job, TARGET.rescue)
      fair.enqueue(job.priority, job.tenant, id, true)
    end,
  }
  -- Those of no single job. What may be long goes on with the next look.
  local of_many = {tenant = fair.rejoin_tenant, host = receiver_limits.free, delivery = deliveries.retry_due,
                   give_up = endpoints.give_up_pending, forget_batch = batch_operation.forget}
  local function go_on(kind, continue)
    return function(id)
      local answer = continue(id)
      if answer ~= 'done' then
        redis.call('ZADD', keys.schedule, clock.now_ms + (answer == 'full' and 1000 or 0), kind .. ':' .. id)
      end
    end
  end
  local long = {
    prune = job_index.prune,
    batch = go_on('batch', batch_operation.continue),
    operation = go_on('operation', operation.continue),
  }
  local may_be_long = 2
  local due = redis.call('ZRANGE', keys.schedule, '-inf', clock.now_ms, 'BYSCORE', 'LIMIT', 0, args[3])
  for _, member in ipairs(due) do
    local kind, id = string.match(member, '^([%l_]+):(.+)$')
    redis.call('ZREM', keys.schedule, member)
    local job = handle[kind] and records.read(id)
    if of_many[kind] then
      of_many[kind](id)
    elseif long[kind] and may_be_long > 0 then
      may_be_long = may_be_long - 1
      long[kind](id)
    elseif long[kind] then
      redis.call('ZADD', keys.schedule, clock.now_ms, member)
    elseif not handle[kind] then
      -- of a newer version: its workers will look at it
      redis.call('ZADD', keys.schedule, clock.now_ms + 60000, member)
    elseif job then
      handle[kind](id, job)
    elseif kind == 'lease' then
      jobs.count_in_flight({}, -1)  -- its record has expired, its place in the count has not
    end
  end

  republish_lost_messages(args[3])
  refill.swaps()
  refill.webhooks()
  local nearest = redis.call('ZRANGE', keys.schedule, 0, 0, 'WITHSCORES')[2]
  local more_is_due = #due >= tonumber(args[3]) or batch_hold.budget <= 0
  local pause = more_is_due and 0 or math.min(nearest and math.max(nearest - clock.now, 1) or TICK_MS, TICK_MS)
  return {#due, math.ceil(pause)}
end

return {flags = {'allow-oom'}, call = call}
