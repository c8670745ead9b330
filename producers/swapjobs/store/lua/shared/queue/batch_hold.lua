-- Batches of which nothing starts, since they are paused or being cancelled. Their jobs are set aside when they reach
-- the head of their line, with their place in it: they keep nobody else waiting. Costs nothing while there is none.
local contract = require('contract')
local keys, fleet = contract.keys, contract.fleet

local BUDGET = 250  -- jobs that one refill may set aside; the next one goes on
local M = {budget = BUDGET}

function M.is_held(tenant, batch)
  return fleet.batches_held > 0 and batch and redis.call('SISMEMBER', keys.held_batches, tenant .. ':' .. batch) == 1
end

-- Gives a refill its budget anew.
function M.reset()
  M.budget = BUDGET
end

function M.hold(tenant, batch, id, place)
  redis.call('ZADD', keys.held .. tenant .. ':' .. batch, place, id)
  M.budget = M.budget - 1
end

-- The first jobs of a line that may start. Where none comes, the line is empty or enough was set aside for once.
function M.pop(lane, who, number)
  local line, ids = keys.queue .. lane .. ':' .. who, {}
  local looks = lane ~= 'webhooks' and fleet.batches_held > 0
  while #ids < number and not (looks and M.budget <= 0) do
    local popped = redis.call('ZPOPMIN', line, number - #ids)
    for i = 1, #popped, 2 do
      local id = popped[i]
      local batch = looks and redis.call('HGET', keys.job .. id, 'batch')
      if batch and M.is_held(who, batch) then M.hold(who, batch, id, popped[i + 1]) else ids[#ids + 1] = id end
    end
    if not looks or #popped == 0 then break end
  end
  return ids
end

return M
