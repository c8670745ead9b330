-- Takes tasks of products out of their queues, and those whose eta has come, into the list of those that arrive: there
-- they stay until they are recorded or refused, whoever dies.
-- ARGV: how many at most
-- Returns the messages.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, TASK_QUEUES = contract.keys, contract.TASK_QUEUES

local function call(args)
  local left, taken = tonumber(args[1]), {}
  for _, message in ipairs(redis.call('ZRANGE', keys.delayed, '-inf', clock.now_ms, 'BYSCORE', 'LIMIT', 0, left)) do
    redis.call('ZREM', keys.delayed, message)
    redis.call('LPUSH', keys.arriving, message)
    taken[#taken + 1] = message
  end
  for _, queue in ipairs(TASK_QUEUES) do
    while #taken < left do
      local message = redis.call('LMOVE', queue, keys.arriving, 'RIGHT', 'LEFT')
      if not message then break end
      taken[#taken + 1] = message
    end
  end
  return taken
end

return {flags = {'allow-oom'}, call = call}
