-- Part: moves jobs from the lines to the runways, as far as the traffic state allows; registers every hint it sends.
-- needs: clock, line, traffic, rate
local FEWEST, MOST, AHEAD_MS = 8, 512, 2000

-- As many hints as were taken in the last 2 s or so: enough for every worker, not so many that they grow old.
local function runway_length(kind)
  local pace = T['pace:' .. kind]
  if not pace or pace <= 0 then return FEWEST end
  return math.min(math.max(math.ceil(AHEAD_MS / pace), FEWEST), MOST)
end

-- Told at every claim: the mean gap between two of them, in ms.
local function keep_pace(kind)
  local last, pace = T['claim:' .. kind] or now, T['pace:' .. kind] or 1000
  pace = math.max(pace + (math.min(math.max(now - last, 0), 10000) - pace) / 16, 0.1)
  T['pace:' .. kind] = pace
  redis.call('HSET', K.traffic, 'claim:' .. kind, string.format('%.3f', now), 'pace:' .. kind,
             string.format('%.3f', pace))
end

local function send_hint(lane, id)
  redis.call('ZADD', K.hints .. lane, now_ms, id)
  redis.call('LPUSH', RUNWAY[lane], (string.gsub(HINT[lane], '%%id%%', id)))
end

local function refill_lane(lane, room)
  while room > 0 do
    local id = next_in_turn(lane)
    if not id then return room end
    send_hint(lane, id)
    room = room - 1
  end
  return room
end

-- Nobody else is left to probe with: who has waited longest asks again.
local function send_parked()
  local id = redis.call('ZPOPMIN', K.parked)[1]
  if id and redis.call('ZREM', K.wake, 'retry:' .. id) == 1 then
    send_hint(redis.call('HGET', K.job .. id, 'priority'), id)
  end
end

local function refill_swaps()
  local length, calls = runway_length('swaps'), bookable()
  local interactive_out, bulk_out = redis.call('ZCARD', K.hints .. 'interactive'), redis.call('ZCARD', K.hints .. 'bulk')
  local room = math.min(length, calls) - interactive_out
  -- bulk hints that are out do not keep interactive jobs off the runway: theirs is popped first
  room = refill_lane('interactive', room)
  room = refill_lane('bulk', room - bulk_out)
  if room > 0 and T.tripped ~= '' then send_parked() end
end

local function refill_webhooks()
  refill_lane('webhooks', runway_length('webhooks') - redis.call('ZCARD', K.hints .. 'webhooks'))
end
