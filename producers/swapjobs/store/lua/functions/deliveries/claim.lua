-- Decide whether a message leads to a delivery; claimed, leased and fenced like an attempt.
-- ARGV: id, lease in ms
-- Returns {'drop'} or {'go', fence, now in ms, its record, that of the job that it tells of ("": its own record tells,
--   or no job), the fields of its endpoint, if it has one}.
local contract = require('contract')
local clock = require('fleet.clock')
local fair = require('queue.fair')
local ready = require('queue.ready')
local receiver_limits = require('queue.receiver_limits')
local refill = require('queue.refill')
local records = require('records.record')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local notifications = require('webhooks.notifications')
local keys = contract.keys

-- Says whether this delivery is still to be sent; where it is not, does what it needs instead.
local function is_to_be_sent(id, delivery)
  if delivery.delivery_state ~= 'pending' then return false end  -- ended meanwhile
  local endpoint = delivery.endpoint and notifications.read_endpoint(delivery.endpoint)
  local why = delivery.endpoint and endpoints.why_ended(delivery.endpoint)
  local tried_for_ms = clock.now - tonumber(delivery.delivery_started_at or clock.now)
  if not why and tried_for_ms > deliveries.LONGEST_DELIVERY_MS then
    why = 'the receiver was down for all the time in which it is tried'
  end
  if why then
    deliveries.give_up(id, delivery, why)
    return false
  end
  if endpoint and endpoint.host ~= delivery.delivery_host then  -- its URL was changed
    records.set(delivery, 'delivery_host', endpoint.host)
    fair.enqueue('webhooks', endpoint.host, id, true)
    return false
  end
  return true
end

local function call(args)
  local id = args[1]
  local delivery = deliveries.read(id)
  if not delivery or not ready.take('webhooks', delivery.delivery_host, id) then return {'drop'} end
  if not is_to_be_sent(id, delivery) then
    refill.webhooks()
    return {'drop'}
  end
  local fence = records.increase(delivery, 'delivery_claims', 1)
  records.clear(delivery, 'delivery_next_at')
  redis.call('ZADD', keys.schedule, math.floor(clock.now + args[2]), 'delivery:' .. id)
  receiver_limits.change(delivery.delivery_host, 'in_flight', 1)
  ready.note_claim('webhooks')
  refill.webhooks()
  local job = delivery.job and records.read(delivery.job)
  return {'go', fence, clock.now_ms, records.text_of(delivery), job and records.text_of(job) or '',
          delivery.endpoint and redis.call('HGETALL', keys.endpoint .. delivery.endpoint) or {}}
end

return {flags = {'allow-oom'}, call = call}
