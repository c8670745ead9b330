-- Part: the limits of single tenants: rate, calls in flight, weight, pause. Most have none, and cost nothing.
-- needs: traffic
local MOST = 512  -- hints of a lane that may be out
local LIMITS = {'interval', 'max_in_flight', 'weight', 'paused', 'arrival', 'in_flight', 'hints'}
-- Held to the rate only so far: within this time a tenant may catch up what it could not use.
local CATCH_UP_MS = 250

local function limits_of(tenant)
  if T.tenants == 0 then return nil end
  local values, limits = redis.call('HMGET', K.tenant .. tenant, unpack(LIMITS)), {}
  if not values[1] then return nil end
  for i, name in ipairs(LIMITS) do limits[name] = tonumber(values[i]) end
  return limits
end

-- How many calls a rate that is held to only so far allows at a time; `arrival` is its theoretical arrival time.
local function allowed(arrival, gap, time)
  local most = math.max(2, CATCH_UP_MS / gap)
  return math.max(math.floor(most - math.max(arrival - time, 0) / gap + 1e-6), 0)
end

-- How many more hints of this tenant may be out.
local function tenant_room(limits)
  if limits.paused > 0 then return 0 end
  local room = MOST
  if limits.interval > 0 then room = allowed(limits.arrival, limits.interval, now) end
  if limits.max_in_flight > 0 then room = math.min(room, limits.max_in_flight - limits.in_flight) end
  return room - limits.hints
end

-- At the claim, whose call will be made at `time`.
local function tenant_may(limits, time)
  return limits.paused == 0 and (limits.max_in_flight == 0 or limits.in_flight < limits.max_in_flight)
    and (limits.interval == 0 or allowed(limits.arrival, limits.interval, time) > 0)
end

-- What tenant_may allowed.
local function book_tenant(tenant, limits, time)
  if limits.interval == 0 then return end
  local arrival = math.max(math.min(limits.arrival, time + T.horizon + limits.interval), time) + limits.interval
  redis.call('HSET', K.tenant .. tenant, 'arrival', string.format('%.3f', arrival))
end

local function change_tenant(tenant, field, change)
  if T.tenants > 0 and redis.call('HEXISTS', K.tenant .. tenant, 'interval') == 1 then
    local new = redis.call('HINCRBY', K.tenant .. tenant, field, change)
    if new < 0 then redis.call('HSET', K.tenant .. tenant, field, 0) end  -- its limits are newer than its calls
    return true
  end
end
