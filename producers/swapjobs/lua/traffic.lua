-- Part: the fleet's traffic state: rate (GCRA), pauses, calls in flight. The limits are those the workers wrote at start.
-- needs: clock
local T = {}
do
  local numbers = {interval = 200, burst = 1, horizon = 1000, query_interval = 0, max_in_flight = 0,
                   arrival = 0, query_arrival = 0, paused_until = 0, in_flight = 0, held = 0, full = 0,
                   epoch = 0, epoch_at = 0, doubts = 0,
                   probe_at = 0, probe_gap = 0, probe_most = 5000, tripped_at = 0, reset_at = 0, ramp = 5000,
                   window = 30000, failures = 5, share = 0.5, max_attempts = 6, bucket = 0, answers = 0, answers_before = 0}
  local names = {'tripped', 'probe'}
  for name in pairs(numbers) do names[#names + 1] = name end
  for i, value in ipairs(redis.call('HMGET', K.traffic, unpack(names))) do
    local name = names[i]
    T[name] = numbers[name] and (tonumber(value or nil) or numbers[name]) or value or ''
  end
  -- After an outage the rate grows to its full height, so that the vendor is not hit by everything at once.
  local ramped = (now - T.reset_at) / math.max(T.ramp, 1)
  if ramped >= 0 and ramped < 1 then T.interval = T.interval / math.max(ramped, 0.1) end
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

-- One probe at a time: it is out as long as its job's lease lasts.
local function may_probe()
  return now >= T.probe_at and not (T.probe ~= '' and redis.call('ZSCORE', K.wake, 'lease:' .. T.probe))
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

-- The claims of an epoch (a server process, see meet.lua) are numbered from a height of their own.
local EPOCH_CLAIMS = 1000000

-- Whether this job may have been sent in the time that a restarted Redis has forgotten.
local function may_be_forgotten(id, job)
  return T.doubts > 0 and (job.step or 'send') == 'send' and job.claims < T.epoch * EPOCH_CLAIMS
      and tonumber(redis.call('HGET', K.job .. id, 'created_at')) < T.epoch_at
end

-- If it was, then at the latest when the new server was met.
local function believe_sent(id)
  redis.call('HSETNX', K.job .. id, 'sent_at', T.epoch_at)
  redis.call('HINCRBY', K.traffic, 'doubts', -1)
end
