-- Moves jobs from the queues to the ready queues, as far as the fleet state allows.
local contract = require('contract')
local clock = require('fleet.clock')
local batch_hold = require('queue.batch_hold')
local fair = require('queue.fair')
local rate_limiter = require('queue.rate_limiter')
local ready = require('queue.ready')
local tenant_limits = require('queue.tenant_limits')
local records = require('records.record')
local keys, fleet = contract.keys, contract.fleet

local function refill_lane(lane, room)
  local chosen, goes_on = {}, true
  while goes_on and #chosen < room do
    local ids
    ids, goes_on = fair.next_fair(lane, room - #chosen)
    for _, id in ipairs(ids) do chosen[#chosen + 1] = id end
  end
  if chosen[1] then ready.publish(lane, chosen) end
  return room - #chosen
end

-- Lets the job that was parked first probe the vendor again: no other job is left to do so.
local function send_parked()
  local id = redis.call('ZPOPMIN', keys.parked)[1]
  if id and redis.call('ZREM', keys.schedule, 'retry:' .. id) == 1 then
    local job = records.read(id)
    if not job then return end
    local limits = tenant_limits.read(job.tenant)
    if limits and limits.paused > 0 then return fair.enqueue(job.priority, job.tenant, id, true) end
    ready.publish(job.priority, {id})
    tenant_limits.change(job.tenant, 'messages', 1)
  end
end

-- Returns whether a lane needs no refill yet: it is done in blocks of a quarter of the ready queue, since looking at
-- the queues costs the same for one job and for many.
local function is_long_enough(length, out)
  return out > 0.75 * length
end

-- Notes how many claims may pass without a look at the queues: a quarter of the messages that are out. None may where
-- tenants have limits, a batch is held, or the breaker is open.
local function note_spare(out)
  local looks = fleet.tenants > 0 or fleet.batches_held > 0 or fleet.tripped > 0
  fleet.spare_messages = looks and 0 or math.floor(out / 4)
end

local function swaps()
  batch_hold.reset()
  local length, calls, bulk_calls = ready.target_length('swaps'), rate_limiter.bookable()
  local interactive_out = redis.call('ZCARD', keys.published .. 'interactive')
  local bulk_out = redis.call('ZCARD', keys.published .. 'bulk')
  -- bulk messages that are out do not keep interactive jobs off: those are popped first
  local room = math.min(length, calls) - interactive_out
  if not is_long_enough(length, interactive_out) then room = refill_lane('interactive', room) end
  room = room - bulk_out
  if room > 0 and not is_long_enough(length, bulk_out) then
    local bulk_room = math.min(room, bulk_calls - bulk_out)
    room = room - bulk_room + refill_lane('bulk', bulk_room)
  end
  if room > 0 and fleet.tripped > 0 then send_parked() end
  note_spare(math.min(length, calls) - room)
end

-- After a claim, which takes one message and makes no room for others: only where few are left.
local function after_claim()
  fleet.spare_messages = fleet.spare_messages - 1
  if fleet.spare_messages <= 0 then swaps() end
end

-- Returns whether the end of a call needs no refill: it makes room only where calls in flight are counted, or where a
-- probe ended an outage; else the claims refill.
local function may_be_skipped()
  return fleet.max_in_flight == 0 and fleet.tenants == 0 and fleet.reset_at + 1000 < clock.now
end

local webhooks_wanted = false

-- Has deliveries published at the function's end, once for all that it does.
local function webhooks()
  webhooks_wanted = true
end

local function begin()
  webhooks_wanted = false
end

local function finish()
  fair.rejoin_hosts()
  if not webhooks_wanted then return end
  local length, out = ready.target_length('webhooks'), redis.call('ZCARD', keys.published .. 'webhooks')
  if not is_long_enough(length, out) then refill_lane('webhooks', length - out) end
end

return {
  swaps = swaps,
  after_claim = after_claim,
  may_be_skipped = may_be_skipped,
  webhooks = webhooks,
  begin = begin,
  finish = finish,
}
