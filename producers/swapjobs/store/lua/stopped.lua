-- Part: batches of which nothing starts, since they are paused or being cancelled. Their jobs are set aside when they reach
-- the head of their line, with their place in it: they keep nobody else waiting. Costs nothing while there is none.
-- needs: traffic
local MOST_SET_ASIDE = 250  -- by one refill; the next one goes on
local may_set_aside = MOST_SET_ASIDE

local function is_stopped(tenant, batch)
  return T.stopped > 0 and batch and redis.call('SISMEMBER', K.stopped, tenant .. ':' .. batch) == 1
end

local function set_aside(tenant, batch, id, place)
  redis.call('ZADD', K.set_aside .. tenant .. ':' .. batch, place, id)
  may_set_aside = may_set_aside - 1
end

-- The first jobs of a line that may start. Where none comes, the line is empty or enough was set aside for once.
local function pop_line(lane, who, number)
  local line, ids = K.line .. lane .. ':' .. who, {}
  local looks = lane ~= 'webhooks' and T.stopped > 0
  while #ids < number and not (looks and may_set_aside <= 0) do
    local popped = redis.call('ZPOPMIN', line, number - #ids)
    for i = 1, #popped, 2 do
      local id = popped[i]
      local batch = looks and redis.call('HGET', K.job .. id, 'batch')
      if batch and is_stopped(who, batch) then set_aside(who, batch, id, popped[i + 1]) else ids[#ids + 1] = id end
    end
    if not looks or #popped == 0 then break end
  end
  return ids
end
