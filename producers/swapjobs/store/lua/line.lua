-- Part: the lines of a lane, served in turn by weight. `who` is a tenant, or an endpoint host in the webhooks lane.
-- needs: traffic, tenant, host, stopped, turn
local HEAD = 1e12  -- returning jobs stand before all fresh ones, and among themselves in order

local function stand_in_line(lane, who, id, at_head)
  T.sequence = T.sequence + 1
  redis.call('ZADD', K.line .. lane .. ':' .. who, at_head and T.sequence - HEAD or T.sequence, id)
  take_turn(lane, who, true)
end

local function leave_line(lane, who, id)
  local line = K.line .. lane .. ':' .. who
  if redis.call('ZREM', line, id) == 0 then return false end
  if redis.call('EXISTS', line) == 0 then lose_turn(lane, who) end
  return true
end

-- The next jobs of a lane, `most` of them at most: one for each turn, more where nobody else stands there.
local function next_in_turn(lane, most)
  while true do
    local turns = redis.call('ZRANGE', K.turns .. lane, 0, 1, 'WITHSCORES')
    local who = turns[1]
    if not who then return {} end
    local limits = (lane == 'webhooks' and host_of or limits_of)(who)
    local number = turns[3] and 1 or most
    if limits then number = math.min(number, (lane == 'webhooks' and host_room or tenant_room)(limits)) end
    if number > 0 then
      local ids = pop_line(lane, who, number)
      if #ids > 0 then
        redis.call('ZINCRBY', K.turns .. lane, #ids / (limits and limits.weight or 1), who)
        T['turn_' .. lane] = math.max(T['turn_' .. lane], tonumber(turns[2]))
        if limits then (lane == 'webhooks' and change_host or change_tenant)(who, 'hints', #ids) end
        return ids
      end
      if lane ~= 'webhooks' and may_set_aside <= 0 then
        redis.call('ZINCRBY', K.turns .. lane, 1, who)  -- the next refill goes on, with others first
        return {}
      end
      -- Only now, and not when the line became empty: who comes back at once has had its turn of this round.
      redis.call('ZREM', K.turns .. lane, who)
    else
      skip_turn(lane, who, limits)
    end
  end
end
