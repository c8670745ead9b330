-- Part: the fleet's traffic state: pauses, the breaker's, calls in flight. The limits are those the workers wrote at start.
-- needs: clock
local T = {interval = 200, burst = 1, horizon = 1000, query_interval = 0, max_in_flight = 0, max_attempts = 6,
           window = 30000, failures = 5, share = 0.5, probe_most = 5000, ramp = 5000,
           arrival = 0, query_arrival = 0, paused_until = 0, held = 0, in_flight = 0, full = 0,
           epoch = 0, epoch_at = 0, known_until = 0, doubts = 0, streak = 0, remembered = 600000, tripped = '', tripped_at = 0, reset_at = 0, probe = '', probe_at = 0,
           probe_gap = 0, bucket = 0, answers = 0, answers_before = 0, sequence = 0}
do
  local fields = redis.call('HGETALL', K.traffic)  -- one small hash: cheaper than asking for most of it by name
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    T[name] = name ~= 'probe' and tonumber(value) or value
  end
  -- After an outage the rate grows to its full height, so that the vendor is not hit by everything at once.
  T.full_interval = T.interval
  local ramped = (now - T.reset_at) / math.max(T.ramp, 1)
  if ramped >= 0 and ramped < 1 then T.interval = T.interval / math.max(ramped, 0.1) end
end

-- By the vendor's Retry-After; a pause by the user's hand, `held`, has no end of its own.
local function paused_for()
  return math.min(math.max(T.paused_until - now, 0), MAX_PAUSE_MS)
end

-- Why no call at all may be made now: held, paused, outage (the breaker; but a probe may), or nil.
local function closed_by()
  if T.held > 0 then return 'held' end
  if paused_for() > 0 then return 'paused' end
  if T.tripped ~= '' then return 'outage' end
end

-- One probe at a time; but one that hangs, or whose worker died, is not waited for (see begin_probe).
local function may_probe()
  return now >= T.probe_at
end

local function count_in_flight(change)
  T.in_flight = math.max(T.in_flight + change, 0)
  redis.call('HSET', K.traffic, 'in_flight', T.in_flight)
end

local function pause_until(time)
  T.paused_until = math.max(T.paused_until, math.min(time, now + MAX_PAUSE_MS))
  redis.call('HSET', K.traffic, 'paused_until', string.format('%.0f', T.paused_until))
end

local function count(what)
  redis.call('HINCRBY', K.traffic, 'count:' .. what, 1)
end
