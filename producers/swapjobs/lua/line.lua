-- Part: the lines of a lane, served in turn by weight. `who` is a tenant, or an endpoint host in the webhooks lane.
-- needs: traffic, tenant, host, stopped
local HEAD = 1e12  -- returning jobs stand before all fresh ones, and among themselves in order

-- Who was not there is as far as the one now served; who is really new comes before those that are: a first job waits for
-- nobody's round.
local function take_turn(lane, who, is_new)
  if not redis.call('ZSCORE', K.turns .. lane, who) then
    redis.call('ZADD', K.turns .. lane, T['turn_' .. lane] - (is_new and 0.5 or 0), who)
    if T.tenants > 0 or lane == 'webhooks' then redis.call('SREM', K.aside .. lane, who) end
  end
end

local function lose_turn(lane, who)
  if redis.call('ZREM', K.turns .. lane, who) == 0 then redis.call('SREM', K.aside .. lane, who) end
end

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

-- Something of its limits is free again.
local function return_turn(tenant)
  for _, lane in ipairs(SWAPS) do
    if redis.call('EXISTS', K.line .. lane .. ':' .. tenant) == 1 then take_turn(lane, tenant) end
  end
end

-- The same of a host: a try is over, or its pause is.
local function return_host(host)
  if redis.call('EXISTS', K.line .. 'webhooks:' .. host) == 1 then take_turn('webhooks', host) end
end

-- It can do nothing now: out of the others' way until it may be otherwise (return_turn, and the wake-up).
local function skip_turn(lane, who, limits)
  redis.call('ZREM', K.turns .. lane, who)
  redis.call('SADD', K.aside .. lane, who)
  if lane == 'webhooks' then return wake_when_open(who, limits) end
  if limits.paused > 0 or limits.interval == 0 then return end
  if limits.max_in_flight > 0 and limits.in_flight + limits.hints >= limits.max_in_flight then return end  -- a call's end will
  local more = math.max(2, AHEAD_MS / limits.interval) - limits.hints - 1
  if more >= 0 then  -- when its rate allows one more than are out; else the next of those brings it back
    redis.call('ZADD', K.wake, math.ceil(math.max(limits.arrival - more * limits.interval, now + 1)), 'turn:' .. who)
  end
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
