-- Asks the vendor something that is answered at once: a worker takes the question from the ready queue.
-- ARGV: id, the question (JSON), for how many ms it is worth an answer
local contract = require('contract')
local keys, READ_MESSAGE, READY = contract.keys, contract.READ_MESSAGE, contract.READY

local function call(args)
  redis.call('SET', keys.read .. args[1], args[2], 'PX', args[3])
  redis.call('LPUSH', READY.interactive, table.concat(READ_MESSAGE, args[1]))
  return 'ok'
end

return {flags = {}, call = call}
