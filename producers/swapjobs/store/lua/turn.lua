-- Part: whose turn it is in a lane, and who stands aside because limits of its own let it do nothing now.
-- needs: traffic, tenant, host
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
  if redis.call('EXISTS', K.line .. lane .. ':' .. who) == 0 then return end  -- there for its turn alone, see next_in_turn
  redis.call('SADD', K.aside .. lane, who)
  if lane == 'webhooks' then return wake_when_open(who, limits) end
  if limits.paused > 0 or limits.interval == 0 then return end
  if limits.max_in_flight > 0 and limits.in_flight + limits.hints >= limits.max_in_flight then return end  -- a call's end will
  local more = math.max(2, AHEAD_MS / limits.interval) - limits.hints - 1
  if more >= 0 then  -- when its rate allows one more than are out; else the next of those brings it back
    redis.call('ZADD', K.wake, math.ceil(math.max(limits.arrival - more * limits.interval, now + 1)), 'turn:' .. who)
  end
end
