-- Part: the fleet's traffic state: rate (GCRA), pause, calls in flight. The limits are those the workers wrote at start.
-- needs: clock
local T = {}
do
  local names = {'interval', 'burst', 'horizon', 'query_interval', 'max_in_flight',
                 'arrival', 'query_arrival', 'paused_until', 'in_flight'}
  local values = redis.call('HMGET', K.traffic, unpack(names))
  local defaults = {interval = 200, burst = 1, horizon = 1000, query_interval = 0, max_in_flight = 0}
  for i, name in ipairs(names) do T[name] = tonumber(values[i] or nil) or defaults[name] or 0 end
end

-- Queries share the swaps' rate unless they have one of their own.
local function rate_of(step)
  if step == 'query' and T.query_interval > 0 then return 'query_arrival', T.query_interval end
  return 'arrival', T.interval
end

-- The theoretical arrival time. Further ahead than a booking can have put it means that the clock jumped back (or that
-- the rate was raised): it is cut, and kept so, else the line would stay closed for the length of the jump.
local function arrival_of(field, interval)
  local latest = now + math.max(T.horizon, interval) + T.burst * interval
  if T[field] > latest + 1 then
    T[field] = latest
    redis.call('HSET', K.traffic, field, string.format('%.3f', latest))
  end
  return math.max(T[field], now)
end

local function paused_for()
  return math.min(math.max(T.paused_until - now, 0), MAX_PAUSE_MS)
end

-- How many more calls could be booked now.
local function bookable()
  if paused_for() > 0 then return 0 end
  local ahead = arrival_of('arrival', T.interval) - now
  local calls = math.floor((math.max(T.horizon, T.interval) - ahead) / T.interval + T.burst + 1e-6)
  if T.max_in_flight > 0 then calls = math.min(calls, T.max_in_flight - T.in_flight) end
  return math.max(calls, 0)
end

-- Book one call: returns the milliseconds to wait before it, or nil when no slot is near enough.
local function book(step)
  if paused_for() > 0 then return nil end
  if T.max_in_flight > 0 and T.in_flight >= T.max_in_flight then return nil end
  local field, interval = rate_of(step)
  local arrival = arrival_of(field, interval) + interval
  local wait = math.max(arrival - T.burst * interval - now, 0)
  if wait > math.max(T.horizon, interval) + 0.01 then return nil end
  T[field] = arrival
  redis.call('HSET', K.traffic, field, string.format('%.3f', arrival))
  return wait
end

local function count_in_flight(change)
  T.in_flight = math.max(T.in_flight + change, 0)
  redis.call('HSET', K.traffic, 'in_flight', T.in_flight)
end

local function pause_until(time)
  T.paused_until = math.max(T.paused_until, math.min(time, now + MAX_PAUSE_MS))
  redis.call('HSET', K.traffic, 'paused_until', string.format('%.0f', T.paused_until))
end
