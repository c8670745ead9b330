-- Write down one try of a delivery, and what follows: nothing, or another try later.
-- ARGV: id, fence, new state (delivered, undelivered or pending), delay in ms, HTTP status or "", history line, what it
--   says of the host (up, down or ""), how long it took in ms, why its endpoint wants no more or ""
-- Returns ok, too_late (the next try would be past all that it may take: undelivered), disabled (its endpoint was, by
--   this), fenced or gone.
local contract = require('contract')
local clock = require('fleet.clock')
local metrics = require('fleet.metrics')
local receiver_limits = require('queue.receiver_limits')
local refill = require('queue.refill')
local records = require('records.record')
local continuations = require('webhooks.continuations')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local keys = contract.keys

local function call(args)
  local id, state, delivery = args[1], args[3], deliveries.read(args[1])
  if not delivery then return 'gone' end
  if delivery.delivery_state ~= 'pending' or tostring(delivery.delivery_claims) ~= args[2] then return 'fenced' end
  -- this claim is used up: the same answer sent twice counts once
  records.increase(delivery, 'delivery_claims', 1)
  records.increase(delivery, 'delivery_tries', 1)
  records.set(delivery, 'delivery_status', args[5])
  deliveries.detach(id, delivery)
  receiver_limits.record_result(delivery.delivery_host, args[7], tonumber(args[8]))
  local at = math.floor(clock.now + args[4])
  local tried_for_ms = at - tonumber(delivery.delivery_started_at or clock.now)
  local too_late = state == 'pending' and tried_for_ms > deliveries.LONGEST_DELIVERY_MS
  if too_late then state = 'undelivered' end
  if not continuations.is_one(id) then
    local lag_ms = state == 'delivered' and clock.now_ms - (delivery.delivery_started_at or clock.now_ms) or nil
    metrics.observe_webhook(state == 'pending' and 'failed' or state, lag_ms)
  end
  if state == 'pending' then
    records.append(delivery, args[6])
    records.set(delivery, 'delivery_next_at', at)
    redis.call('ZADD', keys.schedule, at, 'delivery:' .. id)
  else
    deliveries.finish(id, delivery, state, args[6])
  end
  local disabled = delivery.endpoint and endpoints.record_result(delivery.endpoint, state == 'delivered', args[9])
  refill.webhooks()
  return disabled and 'disabled' or too_late and 'too_late' or 'ok'
end

return {flags = {'allow-oom'}, call = call}
