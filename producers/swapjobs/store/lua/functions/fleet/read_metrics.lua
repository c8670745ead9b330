-- What has been counted since this Redis is in use, as name, value pairs: see store/metrics.py.
local keys = require('contract').keys
local metrics = require('fleet.metrics')

local function call()
  metrics.collect()
  return redis.call('HGETALL', keys.metrics)
end

return {flags = {'allow-oom'}, call = call}
