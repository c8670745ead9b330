-- Counters of what happened, for people (`COUNTS` in store/dispatch_status.py).
local keys = require('contract').keys

local function add(what)
  redis.call('HINCRBY', keys.counts, what, 1)
end

return {add = add}
