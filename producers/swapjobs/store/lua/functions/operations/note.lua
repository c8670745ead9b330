-- Write down what somebody changed by hand: also while Redis is full, for it may be what makes room.
-- ARGV: field, value pairs
local contract = require('contract')
local clock = require('fleet.clock')
local keys = contract.keys

local MOST_KEPT, KEPT_MS = 100000, 90 * 86400 * 1000

local function call(args)
  local function add(at) return redis.pcall('XADD', keys.audit, 'MAXLEN', '~', MOST_KEPT, at, unpack(args)) end
  if type(add(clock.now_ms .. '-*')) == 'table' then add('*') end  -- the clock was put back: after the last
  redis.call('XTRIM', keys.audit, 'MINID', '~', clock.now_ms - KEPT_MS)
  redis.call('PEXPIRE', keys.audit, KEPT_MS)
end

return {flags = {'allow-oom'}, call = call}
