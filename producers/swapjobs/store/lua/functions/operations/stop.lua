-- Do no more of it; what is done stays so.
-- ARGV: id
-- Returns ok, or done where it was over already.
local contract = require('contract')
local operation = require('operations.operation')
local keys = contract.keys

local function call(args)
  local known = operation.read(args[1])
  if not known or known.finished_at then return 'done' end
  redis.call('HSET', keys.operation .. args[1], 'stopped', 1)
  operation.finish(args[1])
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
