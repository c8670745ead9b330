-- Begin the tries of a delivery anew, with the same webhook id; one that is under way can't settle it any more.
-- No allow-oom: what was about to expire is kept again, and makes new work.
-- ARGV: id, tenant
-- Returns ok, gone, superseded (the job was retried since, or its record has expired), disabled (its endpoint is, or
--   was removed), or full (Redis is nearly at its memory limit).
local contract = require('contract')
local refill = require('queue.refill')
local history = require('records.history')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local notifications = require('webhooks.notifications')
local keys, fleet, UNFINISHED = contract.keys, contract.fleet, contract.UNFINISHED

local function call(args)
  local MOST_LINES = 40
  local id, delivery = args[1], deliveries.read(args[1])
  if not delivery or delivery.tenant ~= args[2] or delivery.delivery_state == 'none' then return 'gone' end
  if fleet.memory_full == 1 then return 'full' end
  if delivery.job then
    local now_at = redis.call('HMGET', keys.job .. delivery.job, 'state', 'generation', 'round')
    local message = notifications.message_id(delivery.job, now_at[2] or nil, now_at[3] or nil)
    if not now_at[1] or UNFINISHED[now_at[1]] or message ~= string.match(id, '^(.+)@') then return 'superseded' end
  end
  local endpoint = delivery.endpoint and notifications.read_endpoint(delivery.endpoint)
  if delivery.endpoint and endpoints.why_ended(delivery.endpoint) then return 'disabled' end
  if delivery.delivery_state == 'pending' then
    deliveries.detach(id, delivery)
    fleet.deliveries_pending = fleet.deliveries_pending - 1
  end
  redis.call('HINCRBY', delivery.key, 'delivery_claims', 1)
  redis.call('HDEL', delivery.key, 'delivery_tries', 'delivery_status', 'delivery_next_at')
  -- The oldest lines of its own log make room.
  local lines = {}
  for line in string.gmatch(redis.call('GET', keys.history .. id) or '', '[^\n]+') do lines[#lines + 1] = line end
  if delivery.key ~= keys.job .. id and #lines > MOST_LINES then
    redis.call('SET', keys.history .. id, lines[1] .. '\n' .. table.concat(lines, '\n', #lines - MOST_LINES + 2))
  end
  for _, item in ipairs({id, delivery.job}) do
    redis.call('PERSIST', history.record_key(item))
    redis.call('PERSIST', keys.history .. item)
  end
  if endpoint then delivery.delivery_host = endpoint.host end
  redis.call('HSET', delivery.key, 'delivery_host', delivery.delivery_host)
  deliveries.start(id, delivery)
  refill.webhooks()
  return 'ok'
end

return {flags = {}, call = call}
