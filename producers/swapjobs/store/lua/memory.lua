-- Part: new jobs are refused while there is still room to finish those that are accepted.
-- needs: traffic
local FULL = 0.9

local function look_at_memory()
  local memory = redis.call('INFO', 'memory')
  local used, most = string.match(memory, 'used_memory:(%d+)'), tonumber(string.match(memory, 'maxmemory:(%d+)'))
  T.full = most > 0 and tonumber(used) > FULL * most and 1 or 0
end
