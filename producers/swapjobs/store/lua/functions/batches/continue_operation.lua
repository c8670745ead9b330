-- Go on with what is being done to a batch.
-- ARGV: tenant, batch
-- Returns more, done, or full (nothing can be retried now).
local contract = require('contract')
local batch_operation = require('operations.batch_operation')
local refill = require('queue.refill')
local keys = contract.keys

local function call(args)
  local name = args[1] .. ':' .. args[2]
  local answer = batch_operation.continue(name)
  if answer == 'done' then redis.call('ZREM', keys.schedule, 'batch:' .. name) end
  refill.swaps()
  refill.webhooks()
  return answer
end

return {flags = {'allow-oom'}, call = call}
