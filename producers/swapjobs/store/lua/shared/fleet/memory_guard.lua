-- New jobs are refused while there is still room to finish those that are accepted.
local contract = require('contract')
local fleet = contract.fleet

local FULL = 0.9

local function check()
  local memory = redis.call('INFO', 'memory')
  local used, limit = string.match(memory, 'used_memory:(%d+)'), tonumber(string.match(memory, 'maxmemory:(%d+)'))
  fleet.memory_full = limit > 0 and tonumber(used) > FULL * limit and 1 or 0
end

return {
  check = check,
}
