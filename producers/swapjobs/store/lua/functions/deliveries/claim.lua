-- Decide whether a hint leads to a delivery; claimed, leased and fenced like an attempt.
-- ARGV: id, lease in ms
-- Returns {'drop'} or {'go', fence, now in ms, history, fields, then of the job that it tells of (none: its own record
--   tells, or no job) history and fields, then the fields of its endpoint, if it has one}.
local contract = require('contract')
local clock = require('fleet.clock')
local fair = require('queue.fair')
local ready = require('queue.ready')
local receiver_limits = require('queue.receiver_limits')
local refill = require('queue.refill')
local history = require('records.history')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local notifications = require('webhooks.notifications')
local keys = contract.keys

local function call(args)
  local id = args[1]
  local delivery = deliveries.read(id)
  if not delivery or not ready.take('webhooks', delivery.delivery_host, id) then return {'drop'} end
  local endpoint = delivery.endpoint and notifications.read_endpoint(delivery.endpoint)
  local goes, why = false, delivery.endpoint and endpoints.why_ended(delivery.endpoint)
  if delivery.delivery_state ~= 'pending' then  -- ended meanwhile
  elseif why then
    deliveries.give_up(id, delivery, why)
  elseif clock.now - tonumber(delivery.delivery_started_at or clock.now) > deliveries.LONGEST_DELIVERY_MS then
    deliveries.give_up(id, delivery, 'the receiver was down for all the time in which it is tried')
  elseif endpoint and endpoint.host ~= delivery.delivery_host then  -- its URL was changed
    redis.call('HSET', delivery.key, 'delivery_host', endpoint.host)
    fair.enqueue('webhooks', endpoint.host, id, true)
  else
    goes = true
  end
  if not goes then
    refill.webhooks()
    return {'drop'}
  end
  local fence = redis.call('HINCRBY', delivery.key, 'delivery_claims', 1)
  redis.call('HDEL', delivery.key, 'delivery_next_at')
  redis.call('ZADD', keys.schedule, math.floor(clock.now + args[2]), 'delivery:' .. id)
  receiver_limits.change(delivery.delivery_host, 'in_flight', 1)
  ready.note_claim('webhooks')
  refill.webhooks()
  local function record_of(of)
    return redis.call('GET', keys.history .. of) or '', redis.call('HGETALL', history.record_key(of))
  end
  local history, fields = record_of(id)
  local job_history, job_fields = '', {}
  if delivery.job then job_history, job_fields = record_of(delivery.job) end
  return {'go', fence, clock.now_ms, history, fields, job_history, job_fields,
          delivery.endpoint and redis.call('HGETALL', keys.endpoint .. delivery.endpoint) or {}}
end

return {flags = {'allow-oom'}, call = call}
