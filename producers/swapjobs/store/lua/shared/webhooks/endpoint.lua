-- The end of webhook endpoints: by hand, because they want no more, or because they have failed for days.
local contract = require('contract')
local clock = require('fleet.clock')
local deliveries = require('webhooks.delivery')
local notifications = require('webhooks.notifications')
local keys = contract.keys

local FAILING_MS, QUIET_MS, SWEPT = 5 * 86400000, 2 * 86400000, 100

local function disable(id, why)
  local values = redis.call('HMGET', keys.endpoint .. id, 'tenant', 'url')
  redis.call('HSET', keys.endpoint .. id, 'state', 'disabled', 'disabled_reason', why)
  redis.call('ZADD', keys.schedule, clock.now_ms, 'give_up:' .. id)
  notifications.publish_event(values[1], 'endpoint.disabled', id, cjson.encode({url = values[2], reason = why}), '')
end

-- Returns why nothing is sent to an endpoint any more; nil while it is enabled.
local function why_ended(id)
  local values = redis.call('HMGET', keys.endpoint .. id, 'state', 'disabled_reason')
  if values[1] == 'enabled' then return nil end
  return values[1] and 'the endpoint is disabled: ' .. (values[2] or 'by hand') or 'the endpoint was removed'
end

-- Records what came of a try at an endpoint; returns whether that was the last one: it wants no more, or has failed for
-- days.
local function record_result(id, delivered, why)
  local key = keys.endpoint .. id
  local seen = redis.call('HMGET', key, 'state', 'failing_since', 'failed_at')
  if seen[1] ~= 'enabled' then return false end
  if delivered then
    if seen[2] then redis.call('HDEL', key, 'failing_since', 'failed_at') end
    return false
  end
  -- where nothing was sent for long, nothing is known of the time between
  local since = seen[2] and clock.now - seen[3] < QUIET_MS and tonumber(seen[2]) or clock.now_ms
  redis.call('HSET', key, 'failing_since', string.format('%.0f', since), 'failed_at', clock.now_ms)
  if why == '' and clock.now - since >= FAILING_MS then why = 'it has failed for 5 days' end
  if why ~= '' then disable(id, why) end
  return why ~= ''
end

-- Gives up what is pending for an endpoint that is disabled or removed, some deliveries at a time.
local function give_up_pending(endpoint)
  local why, pending = why_ended(endpoint), keys.undelivered .. endpoint
  if not why then return end
  for _, id in ipairs(redis.call('SRANDMEMBER', pending, SWEPT)) do
    local delivery = deliveries.read(id)
    if delivery and delivery.delivery_state == 'pending' then
      deliveries.detach(id, delivery)
      deliveries.give_up(id, delivery, why)
    else
      redis.call('SREM', pending, id)
    end
  end
  if redis.call('EXISTS', pending) == 1 then
    redis.call('ZADD', keys.schedule, clock.now_ms + 1, 'give_up:' .. endpoint)
  end
end

return {
  why_ended = why_ended,
  record_result = record_result,
  give_up_pending = give_up_pending,
}
