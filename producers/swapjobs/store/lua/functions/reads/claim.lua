-- Books the call of a question, as that of a job's query: the same rate, the same calls in flight. Questions are each
-- tenth call at most, so that who asks again and again keeps nobody's jobs waiting.
-- ARGV: id, lease in ms
-- Returns {'gone'}: nobody waits for it any more; {'busy'}, {'rate_limit'}, {'paused_manually'}, {'outage'}: not now;
--   {'go', wait in ms, the question}
local contract = require('contract')
local clock = require('fleet.clock')
local gate = require('fleet.gate')
local jobs = require('jobs.job')
local rate_limiter = require('queue.rate_limiter')
local keys, fleet = contract.keys, contract.fleet

local SHARE = 10

local function call(args)
  local question = redis.call('GET', keys.read .. args[1])
  if not question then return {'gone'} end
  local closed = gate.closed_by()
  if closed then return {closed} end  -- probes are for jobs
  if redis.call('EXISTS', keys.read_pause) == 1 then return {'busy'} end
  local wait, obstacle = rate_limiter.book('query', {priority = 'interactive'}, nil)
  if not wait then return {obstacle} end
  redis.call('SET', keys.read_pause, '', 'PX', math.max(math.ceil(SHARE * fleet.spacing), 1))
  redis.call('ZADD', keys.schedule, math.floor(clock.now + args[2]), 'lease:' .. args[1])
  jobs.count_in_flight({}, 1)
  return {'go', tostring(wait), question}
end

return {flags = {'allow-oom'}, call = call}
