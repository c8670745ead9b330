-- Part: the rate, by GCRA: when the next call may be made, and how many more could be booked.
-- needs: clock, traffic

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

-- How many more calls could be booked now.
local function bookable()
  local obstacle = closed_by()
  if obstacle then return obstacle == 'outage' and may_probe() and 1 or 0 end
  local ahead = arrival_of('arrival', T.interval) - now
  local calls = math.floor((math.max(T.horizon, T.interval) - ahead) / T.interval + T.burst + 1e-6)
  if T.max_in_flight > 0 then calls = math.min(calls, T.max_in_flight - T.in_flight) end
  return math.max(calls, 0)
end

-- Book one call: returns the milliseconds to wait before it, or nil and why there is no slot near enough.
local function book(step)
  local obstacle = closed_by()
  if obstacle and not (obstacle == 'outage' and may_probe()) then return nil, obstacle end
  if T.max_in_flight > 0 and T.in_flight >= T.max_in_flight then return nil, 'busy' end
  local field, interval = rate_of(step)
  local arrival = arrival_of(field, interval) + interval
  local wait = math.max(arrival - T.burst * interval - now, 0)
  if wait > math.max(T.horizon, interval) + 0.01 then return nil, 'busy' end
  T[field] = arrival
  redis.call('HSET', K.traffic, field, string.format('%.3f', arrival))
  return wait
end
