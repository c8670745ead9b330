-- Part: the lines of a lane, served in turn. `who` is a tenant, or an endpoint host in the webhooks lane.
local HEAD = 1e12  -- returning jobs stand before all fresh ones, and among themselves in order

local function stand_in_line(lane, who, id, at_head)
  local place = redis.call('HINCRBY', K.traffic, 'sequence', 1)
  if at_head then place = place - HEAD end
  redis.call('ZADD', K.line .. lane .. ':' .. who, place, id)
  if not redis.call('ZSCORE', K.turns .. lane, who) then
    -- a newcomer has had as much as the one now served: no more claim than the others, and no less
    redis.call('ZADD', K.turns .. lane, redis.call('HGET', K.traffic, 'turn:' .. lane) or 0, who)
  end
end

local function leave_line(lane, who, id)
  local line = K.line .. lane .. ':' .. who
  if redis.call('ZREM', line, id) == 1 and redis.call('EXISTS', line) == 0 then
    redis.call('ZREM', K.turns .. lane, who)
  end
end

-- The first of the line whose turn it is, or nil when nobody stands in the lane.
local function next_in_turn(lane)
  local turn = redis.call('ZRANGE', K.turns .. lane, 0, 0, 'WITHSCORES')
  local who = turn[1]
  if not who then return nil end
  local line = K.line .. lane .. ':' .. who
  local id = redis.call('ZPOPMIN', line)[1]
  if redis.call('EXISTS', line) == 0 then
    redis.call('ZREM', K.turns .. lane, who)
  else
    redis.call('ZINCRBY', K.turns .. lane, 1, who)
  end
  redis.call('HSET', K.traffic, 'turn:' .. lane, turn[2])
  return id
end
