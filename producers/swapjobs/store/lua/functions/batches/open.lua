-- Open a batch, unless it is there already.
-- ARGV: tenant, batch, callback URL or ""
-- Returns ok, or full (Redis is nearly at its memory limit).
local contract = require('contract')
local batches = require('batches.batch')
local keys, fleet = contract.keys, contract.fleet

local function call(args)
  local key = keys.batch .. args[1] .. ':' .. args[2]
  if fleet.memory_full == 1 and redis.call('HEXISTS', key, 'created_at') == 0 then return 'full' end
  batches.open(args[1], args[2])
  if args[3] ~= '' then redis.call('HSET', key, 'callback_url', args[3]) end
  return 'ok'
end

return {flags = {}, call = call}
