-- Send an event `test` to one endpoint, whatever it is told of otherwise.
-- ARGV: endpoint, tenant, data (JSON)
-- Returns the id of the delivery, or "" where the tenant has no such endpoint.
local contract = require('contract')
local refill = require('queue.refill')
local notifications = require('webhooks.notifications')
local keys = contract.keys

local function call(args)
  if redis.call('SISMEMBER', keys.endpoints .. args[2], args[1]) == 0 then return '' end
  local endpoint, id = notifications.read_endpoint(args[1]), notifications.new_event_id() .. '@' .. args[1]
  local about = {tenant = args[2], event = 'test', subject = args[1], data = args[3], endpoint = args[1]}
  notifications.new_delivery(id, about, endpoint.host, endpoint.url)
  refill.webhooks()
  return id
end

return {flags = {}, call = call}
