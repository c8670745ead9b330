-- Puts a task of a product aside until its eta.
-- ARGV: its message, the eta in ms
local contract = require('contract')
local keys = contract.keys

local function call(args)
  if redis.call('LREM', keys.arriving, -1, args[1]) > 0 then redis.call('ZADD', keys.delayed, args[2], args[1]) end
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
