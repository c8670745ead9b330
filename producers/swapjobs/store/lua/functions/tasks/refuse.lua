-- Refuses a task of a product, or says that it was revoked: the product is told, and its message is done with.
-- ARGV: the task's id, what is told (JSON, or "" where nobody wants to know), its message
local contract = require('contract')
local refill = require('queue.refill')
local continuations = require('webhooks.continuations')
local keys = contract.keys

local function call(args)
  -- another worker may have read the same message
  if redis.call('LREM', keys.arriving, -1, args[3]) == 0 then return 'gone' end
  if args[2] ~= '' then continuations.tell('default', args[1], args[2], nil) end
  refill.webhooks()
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
