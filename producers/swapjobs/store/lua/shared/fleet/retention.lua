-- Returns for how many ms what is over is kept: for all the same, unless a tenant has a time of its own.
local contract = require('contract')
local keys, fleet = contract.keys, contract.fleet

local function retention(tenant)
  local own = fleet.tenants > 0 and tonumber(redis.call('HGET', keys.tenant .. tenant, 'result_ttl') or 0)
  return own and own > 0 and own or fleet.result_ttl_ms
end

return retention
