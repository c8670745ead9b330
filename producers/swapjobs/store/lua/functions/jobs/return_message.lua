-- A worker that stops has a message in hand and will not use it.
-- ARGV: id
local contract = require('contract')
local fair = require('queue.fair')
local ready = require('queue.ready')
local refill = require('queue.refill')
local records = require('records.record')
local MOVES = contract.MOVES

local function call(args)
  local job = records.read(args[1])
  if job and ready.take(job.priority, job.tenant, args[1]) and MOVES.start[job.state] then
    fair.enqueue(job.priority, job.tenant, args[1], true)
    refill.swaps()
  end
end

return {flags = {'allow-oom'}, call = call}
