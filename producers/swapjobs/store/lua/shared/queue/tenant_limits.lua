-- The limits of single tenants: rate, calls in flight, weight, pause. Most have none, and cost nothing.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet = contract.keys, contract.fleet

local MAX_PUBLISHED, AHEAD_MS = 512, 2000  -- messages of a lane that may be out, and how long they last
local LIMITS = {'interval', 'max_in_flight', 'weight', 'paused', 'arrival', 'in_flight', 'messages'}
-- Returns a tenant's own limits and what is used of them; nil for the many that have none.
local function read(tenant)
  if fleet.tenants == 0 then return nil end
  local values, limits = redis.call('HMGET', keys.tenant .. tenant, unpack(LIMITS)), {}
  if not values[1] then return nil end
  for i, name in ipairs(LIMITS) do limits[name] = tonumber(values[i]) end
  return limits
end

-- Returns how many calls a rate allows at a time, where what was not used may be caught up for so many ms, or two
-- calls; `arrival` is its theoretical arrival time.
local function allowed(arrival, gap, time, catch_up_ms)
  local limit = math.max(2, catch_up_ms / gap)
  return math.max(math.floor(limit - math.max(arrival - time, 0) / gap + 1e-6), 0)
end

-- Returns how many calls its rate allows, for as long as messages lie in the ready queue: they are not spaced there,
-- and else a tenant could not use its rate.
local function allowed_by_rate(limits, time)
  return limits.interval == 0 and MAX_PUBLISHED or allowed(limits.arrival, limits.interval, time, AHEAD_MS)
end

-- Returns how many more messages of this tenant may be out.
local function room(limits)
  if limits.paused > 0 then return 0 end
  local free = allowed_by_rate(limits, clock.now)
  if limits.max_in_flight > 0 then free = math.min(free, limits.max_in_flight - limits.in_flight) end
  return free - limits.messages
end

-- Returns whether the limits allow a claim whose call will be made at `time`.
local function allows(limits, time)
  return limits.paused == 0 and (limits.max_in_flight == 0 or limits.in_flight < limits.max_in_flight)
    and allowed_by_rate(limits, time) > 0
end

-- Books a call that was allowed.
local function book(tenant, limits, time)
  if limits.interval == 0 then return end
  local arrival = math.max(math.min(limits.arrival, time + math.max(AHEAD_MS, 2 * limits.interval)), time)
  redis.call('HSET', keys.tenant .. tenant, 'arrival', string.format('%.3f', arrival + limits.interval))
end

-- Changes what is used of a tenant's limits; returns true where it has any.
local function change(tenant, field, by)
  if fleet.tenants > 0 and redis.call('HEXISTS', keys.tenant .. tenant, 'interval') == 1 then
    local new = redis.call('HINCRBY', keys.tenant .. tenant, field, by)
    if new < 0 then redis.call('HSET', keys.tenant .. tenant, field, 0) end  -- its limits are newer than its calls
    return true
  end
end

return {
  MAX_PUBLISHED = MAX_PUBLISHED,
  AHEAD_MS = AHEAD_MS,
  read = read,
  allowed = allowed,
  room = room,
  allows = allows,
  book = book,
  change = change,
}
