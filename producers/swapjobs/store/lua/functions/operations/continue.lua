-- Go on with what is done to all jobs that fit a filter.
-- ARGV: id
-- Returns more, done, or full (nothing can be retried now).
local operation = require('operations.operation')
local refill = require('queue.refill')

local function call(args)
  local answer = operation.continue(args[1])
  refill.swaps()
  refill.webhooks()
  return answer
end

return {flags = {'allow-oom'}, call = call}
