-- Cancel a job: final at once, also while it runs.
-- ARGV: id
-- Returns ok, the final state that it already had, or gone.
local contract = require('contract')
local finish_job = require('jobs.finish')
local refill = require('queue.refill')
local records = require('records.record')
local MOVES, TARGET = contract.MOVES, contract.TARGET

local function call(args)
  local job = records.read(args[1])
  if not job then return 'gone' end
  if not MOVES.cancel[job.state] then return job.state end
  finish_job(args[1], job, TARGET.cancel)
  refill.swaps()
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
