-- Held batches: paused or being cancelled, so that none of their jobs starts. A job of theirs is held, with its
-- place, when it reaches the head of its queue: it keeps nobody else waiting. Costs nothing while no batch is held.
local contract = require('contract')
local records = require('records.record')
local keys, fleet = contract.keys, contract.fleet

local BUDGET = 250  -- jobs that one refill may hold; the next one goes on
local M = {budget = BUDGET}

-- Returns whether this batch is held.
function M.is_held(tenant, batch)
  return fleet.batches_held > 0 and batch and redis.call('SISMEMBER', keys.held_batches, tenant .. ':' .. batch) == 1
end

-- Gives a refill its budget anew.
function M.reset()
  M.budget = BUDGET
end

-- Holds a job until its batch may go on.
function M.hold(tenant, batch, id, place)
  redis.call('ZADD', keys.held .. tenant .. ':' .. batch, place, id)
  M.budget = M.budget - 1
end

-- Returns whether this refill may hold no more jobs.
function M.is_spent(lane)
  return lane ~= 'webhooks' and M.budget <= 0
end

-- Takes the first jobs of a queue that may start. Where it returns none, the queue is empty or the budget is used up.
function M.pop(lane, owner, number)
  local queue, ids = keys.queue .. lane .. ':' .. owner, {}
  local looks = lane ~= 'webhooks' and fleet.batches_held > 0
  while #ids < number and not (looks and M.budget <= 0) do
    local popped = redis.call('ZPOPMIN', queue, number - #ids)
    for i = 1, #popped, 2 do
      local id = popped[i]
      local job = looks and records.read(id)
      local batch = job and job.batch
      if batch and M.is_held(owner, batch) then M.hold(owner, batch, id, popped[i + 1]) else ids[#ids + 1] = id end
    end
    if not looks or #popped == 0 then break end
  end
  return ids
end

return M
