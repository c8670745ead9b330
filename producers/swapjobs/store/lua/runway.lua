-- Part: the runways, Celery's queues: how long they are to be, and the register of the hints that are out.
-- needs: traffic, tenant, line
local FEWEST = 8

-- As many hints as were taken in the last 2 s or so: enough for every worker, not so many that they grow old.
local function runway_length(kind)
  return math.min(math.max(math.ceil(AHEAD_MS / T['pace_' .. kind]), FEWEST), MOST)
end

-- Told at every claim: the mean gap between two of them, in ms.
local function keep_pace(kind)
  local last, pace = T['claimed_' .. kind], T['pace_' .. kind]
  if last == 0 then last = now end
  T['pace_' .. kind] = math.max(pace + (math.min(math.max(now - last, 0), 10000) - pace) / 16, 0.1)
  T['claimed_' .. kind] = now
end

local function send_hints(lane, ids)
  local register, messages = {}, {}
  for i, id in ipairs(ids) do
    register[2 * i - 1], register[2 * i] = now_ms, id
    messages[i] = string.gsub(HINT[lane], '%%id%%', id)
  end
  redis.call('ZADD', K.hints .. lane, unpack(register))
  redis.call('LPUSH', RUNWAY[lane], unpack(messages))
end

-- Whether there was a hint of this job; it is none any more.
local function take_hint(lane, who, id)
  if redis.call('ZREM', K.hints .. lane, id) == 0 then return false end
  if lane == 'webhooks' then
    change_host(who, 'hints', -1)
    return_host(who)
  elseif change_tenant(who, 'hints', -1) then
    return_turn(who)
  end
  return true
end
