-- Renew the leases of a worker's running jobs in one round trip.
-- ARGV, three for each job: id, fence, lease in ms
-- Returns for each job: ok or lost (claimed by another, or no longer running).
local contract = require('contract')
local clock = require('fleet.clock')
local failover = require('jobs.failover')
local records = require('records.record')
local keys, STATE = contract.keys, contract.STATE

local function call(args)
  local answers = {}
  for i = 1, #args, 3 do
    local id, fence = args[i], tonumber(args[i + 1])
    local job = records.read(id)
    if job and job.claims < fence then failover.restore_claim(id, job, fence) end
    if job and job.state == STATE.running and job.claims == fence then
      redis.call('ZADD', keys.schedule, math.floor(clock.now + args[i + 2]), 'lease:' .. id)
      answers[#answers + 1] = 'ok'
    else
      -- one that was cancelled meanwhile: its call is under way all the same, and counted as long as we are told of it
      if job and job.claims == fence then
        redis.call('ZADD', keys.schedule, 'XX', math.floor(clock.now + args[i + 2]), 'lease:' .. id)
      end
      answers[#answers + 1] = 'lost'
    end
  end
  return answers
end

return {flags = {'allow-oom'}, call = call}
