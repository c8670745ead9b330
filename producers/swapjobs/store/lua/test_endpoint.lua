-- Send an event `test` to one endpoint, whatever it is told of otherwise.
-- ARGV: endpoint, tenant, data (JSON)
-- Returns the id of the delivery, or "" where the tenant has no such endpoint.
if redis.call('SISMEMBER', K.endpoints .. ARGV[2], ARGV[1]) == 0 then return '' end
local endpoint, id = endpoint_of(ARGV[1]), new_message() .. '@' .. ARGV[1]
local about = {tenant = ARGV[2], event = 'test', subject = ARGV[1], data = ARGV[3], endpoint = ARGV[1]}
new_delivery(id, about, endpoint.host, endpoint.url)
refill_webhooks()
return id
