-- The vendor says that a job's task is done: the job is looked at now, and not when its next question is due.
-- ARGV: id
-- Returns asked; noted (its reply is not here yet, or something else is due first); final; or gone.
local contract = require('contract')
local clock = require('fleet.clock')
local counters = require('fleet.counters')
local fair = require('queue.fair')
local refill = require('queue.refill')
local records = require('records.record')
local keys, MOVES, UNFINISHED = contract.keys, contract.MOVES, contract.UNFINISHED

local function call(args)
  local id = args[1]
  local job = records.read(id)
  if not job then return 'gone' end
  if not UNFINISHED[job.state] then return 'final' end
  counters.add('vendor_callbacks')
  if MOVES.start[job.state] and redis.call('ZREM', keys.schedule, 'poll:' .. id) == 1 then
    fair.enqueue(job.priority, job.tenant, id, true)
    refill.swaps()
    return 'asked'
  end
  records.set(job, 'called_back', clock.now_ms)
  return 'noted'
end

return {flags = {'allow-oom'}, call = call}
