-- Part: the rate, by GCRA: when the next call may be made, and how many more could be booked.
-- needs: traffic, tenant

-- Queries share the swaps' rate unless they have one of their own.
local function rate_of(step)
  if step == 'query' and T.query_interval > 0 then return 'query_arrival', T.query_interval end
  return 'arrival', interval
end

-- The theoretical arrival time. Further ahead than a booking can have put it means that the clock jumped back (or that
-- the rate was raised): it is cut, and kept so, else the line would stay closed for the length of the jump.
local function arrival_of(field, gap)
  local latest = now + math.max(T.horizon, gap) + T.burst * gap
  if T[field] > latest + 1 then T[field] = latest end
  return math.max(T[field], now)
end

-- Bulk is held to its share by looks at the line, not by the millisecond.
local function share_allows(time)
  local gap = interval / T.bulk_share
  -- as far ahead as the rate of now can have put it: after an outage it grows
  T.bulk_arrival = math.min(T.bulk_arrival, now + T.horizon + math.max(2 * gap, 250))
  return allowed(T.bulk_arrival, gap, time, 250)
end

-- How many more calls could be booked now, and how many of bulk jobs.
local function bookable()
  local obstacle = closed_by()
  if obstacle then
    local probes = obstacle == 'outage' and may_probe() and 1 or 0
    return probes, probes
  end
  local ahead = arrival_of('arrival', interval) - now
  local calls = math.floor((math.max(T.horizon, interval) - ahead) / interval + T.burst + 1e-6)
  if T.max_in_flight > 0 then calls = math.min(calls, T.max_in_flight - T.in_flight) end
  local bulk = calls
  if T.bulk_share < 1 then
    bulk = math.min(bulk, share_allows(now))
    if T.max_in_flight > 0 then bulk = math.min(bulk, math.ceil(T.bulk_share * T.max_in_flight) - T.bulk_in_flight) end
  end
  return math.max(calls, 0), math.max(bulk, 0)
end

-- Whether this bulk job's call keeps to the share that bulk is held to; noted where it does.
local function within_share(time)
  if T.bulk_share >= 1 then return true end
  if T.max_in_flight > 0 and T.bulk_in_flight >= math.ceil(T.bulk_share * T.max_in_flight) then return false end
  if share_allows(time) == 0 then return false end
  T.bulk_arrival = math.max(T.bulk_arrival, time) + interval / T.bulk_share
  return true
end

-- Book one call of this job: returns the milliseconds to wait before it, or nil and why there is no slot near enough. A
-- probe is held to the rate and to nothing else.
local function book(step, job, limits)
  local obstacle = closed_by()
  if obstacle and not (obstacle == 'outage' and may_probe()) then return nil, obstacle end
  if T.max_in_flight > 0 and T.in_flight >= T.max_in_flight then return nil, 'busy' end
  local field, gap = rate_of(step)
  local arrival = arrival_of(field, gap) + gap
  local wait = math.max(arrival - T.burst * gap - now, 0)
  if wait > math.max(T.horizon, gap) + 0.01 then return nil, 'busy' end
  if limits and limits.paused > 0 then return nil, 'busy' end
  if not obstacle then
    if limits and not tenant_may(limits, now + wait) then return nil, 'busy' end
    if job.priority == 'bulk' and not within_share(now + wait) then return nil, 'busy' end
  end
  T[field] = arrival
  return wait
end
