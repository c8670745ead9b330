-- Make a tenant's endpoint, change it, or take it away.
-- ARGV: id, tenant, how many a tenant may have (0: this one must be there), then field, value pairs ("" takes a field
--   away); without them it is removed
-- Returns ok, full (the tenant has as many as it may), or gone (there is none with this id).
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet = contract.keys, contract.fleet

local function call(args)
  local id, tenant, limit, key = args[1], args[2], tonumber(args[3]), keys.endpoint .. args[1]
  local of_tenant = keys.endpoints .. tenant
  if limit == 0 and redis.call('SISMEMBER', of_tenant, id) == 0 then return 'gone' end
  if limit > 0 and redis.call('SCARD', of_tenant) >= limit then return 'full' end
  if #args == 3 then
    redis.call('DEL', key)
    redis.call('SREM', of_tenant, id)
    redis.call('SREM', keys.all_endpoints, id)
  else
    for i = 4, #args, 2 do
      if args[i + 1] == '' then redis.call('HDEL', key, args[i]) else redis.call('HSET', key, args[i], args[i + 1]) end
    end
    redis.call('SADD', of_tenant, id)
    redis.call('SADD', keys.all_endpoints, id)
  end
  fleet.endpoints = redis.call('SCARD', keys.all_endpoints)
  if redis.call('HGET', key, 'state') ~= 'enabled' then
    redis.call('ZADD', keys.schedule, clock.now_ms, 'give_up:' .. id)
  end
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
