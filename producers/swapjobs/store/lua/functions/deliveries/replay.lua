-- Begin the tries of a delivery anew, with the same webhook id; one that is under way can't settle it any more.
-- No allow-oom: what was about to expire is kept again, and makes new work.
-- ARGV: id, tenant
-- Returns ok, gone, superseded (the job was retried since, or its record has expired), disabled (its endpoint is, or
--   was removed), or full (Redis is nearly at its memory limit).
local contract = require('contract')
local refill = require('queue.refill')
local records = require('records.record')
local deliveries = require('webhooks.delivery')
local endpoints = require('webhooks.endpoint')
local notifications = require('webhooks.notifications')
local fleet, UNFINISHED = contract.fleet, contract.UNFINISHED

local function call(args)
  local MOST_LINES = 40
  local id, delivery = args[1], deliveries.read(args[1])
  if not delivery or delivery.tenant ~= args[2] or delivery.delivery_state == 'none' then return 'gone' end
  if fleet.memory_full == 1 then return 'full' end
  if delivery.job then
    local job = records.read(delivery.job)
    if not job or UNFINISHED[job.state] then return 'superseded' end
    local message = notifications.message_id(delivery.job, job.generation, job.round)
    if message ~= string.match(id, '^(.+)@') then return 'superseded' end
  end
  local endpoint = delivery.endpoint and notifications.read_endpoint(delivery.endpoint)
  if delivery.endpoint and endpoints.why_ended(delivery.endpoint) then return 'disabled' end
  if delivery.delivery_state == 'pending' then
    deliveries.detach(id, delivery)
    fleet.deliveries_pending = fleet.deliveries_pending - 1
  end
  records.increase(delivery, 'delivery_claims', 1)
  records.clear(delivery, 'delivery_tries', 'delivery_status', 'delivery_next_at')
  -- The oldest lines of its own log make room.
  local lines = {}
  for line in string.gmatch(delivery.history, '[^\n]+') do lines[#lines + 1] = line end
  if not delivery.state and #lines > MOST_LINES then
    records.rewrite(delivery, lines[1] .. '\n' .. table.concat(lines, '\n', #lines - MOST_LINES + 2))
  end
  for _, item in ipairs({id, delivery.job}) do records.expire(records.read(item), false) end
  if endpoint then records.set(delivery, 'delivery_host', endpoint.host) end
  deliveries.start(id, delivery)
  refill.webhooks()
  return 'ok'
end

return {flags = {}, call = call}
