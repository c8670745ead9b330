-- The fleet's rate, by GCRA (generic cell rate algorithm): when the next call may be made, and how many more could be
-- booked.
local contract = require('contract')
local clock = require('fleet.clock')
local gate = require('fleet.gate')
local tenant_limits = require('queue.tenant_limits')
local fleet = contract.fleet

-- Returns the field and the spacing by which a call is limited: queries share the swaps' rate unless they have their
-- own.
local function rate_of(step)
  if step == 'query' and fleet.query_interval > 0 then return 'query_arrival', fleet.query_interval end
  return 'arrival', fleet.spacing
end

-- Returns the theoretical arrival time. Further ahead than a booking can have put it means that the clock jumped back
-- (or that the rate was raised): it is cut, and kept so, else no call would be made for the length of the jump.
local function arrival_of(field, gap)
  local latest = clock.now + math.max(fleet.horizon, gap) + fleet.burst * gap
  if fleet[field] > latest + 1 then fleet[field] = latest end
  return math.max(fleet[field], clock.now)
end

-- Returns how many calls of bulk jobs their share allows at `time`: it is kept in blocks, not by the millisecond.
local function share_allows(time)
  local gap = fleet.spacing / fleet.bulk_share
  -- as far ahead as the rate of now can have put it: after an outage it grows
  fleet.bulk_arrival = math.min(fleet.bulk_arrival, clock.now + fleet.horizon + math.max(2 * gap, 250))
  return tenant_limits.allowed(fleet.bulk_arrival, gap, time, 250)
end

-- Returns how many more calls could be booked now, and how many of bulk jobs.
local function bookable()
  local obstacle = gate.closed_by()
  if obstacle then
    local probes = obstacle == 'outage' and gate.may_probe() and 1 or 0
    return probes, probes
  end
  local ahead = arrival_of('arrival', fleet.spacing) - clock.now
  local calls = math.floor((math.max(fleet.horizon, fleet.spacing) - ahead) / fleet.spacing + fleet.burst + 1e-6)
  if fleet.max_in_flight > 0 then calls = math.min(calls, fleet.max_in_flight - fleet.in_flight) end
  local bulk = calls
  if fleet.bulk_share < 1 then
    bulk = math.min(bulk, share_allows(clock.now))
    if fleet.max_in_flight > 0 then
      bulk = math.min(bulk, math.ceil(fleet.bulk_share * fleet.max_in_flight) - fleet.bulk_in_flight)
    end
  end
  return math.max(calls, 0), math.max(bulk, 0)
end

-- Returns whether this bulk job's call keeps to the share that bulk is held to, and notes it where it does.
local function within_share(time)
  if fleet.bulk_share >= 1 then return true end
  local most = math.ceil(fleet.bulk_share * fleet.max_in_flight)
  if fleet.max_in_flight > 0 and fleet.bulk_in_flight >= most then return false end
  if share_allows(time) == 0 then return false end
  fleet.bulk_arrival = math.max(fleet.bulk_arrival, time) + fleet.spacing / fleet.bulk_share
  return true
end

-- Books one call of this job: returns the milliseconds to wait before it, or nil and why there is no slot near enough.
-- A probe is held to the rate and to nothing else.
local function book(step, job, limits)
  local obstacle = gate.closed_by()
  if obstacle and not (obstacle == 'outage' and gate.may_probe()) then return nil, obstacle end
  if fleet.max_in_flight > 0 and fleet.in_flight >= fleet.max_in_flight then return nil, 'busy' end
  local field, gap = rate_of(step)
  local arrival = arrival_of(field, gap) + gap
  local wait = math.max(arrival - fleet.burst * gap - clock.now, 0)
  if wait > math.max(fleet.horizon, gap) + 0.01 then return nil, 'busy' end
  if limits and limits.paused > 0 then return nil, 'busy' end
  if not obstacle then
    if limits and not tenant_limits.allows(limits, clock.now + wait) then return nil, 'busy' end
    if job.priority == 'bulk' and not within_share(clock.now + wait) then return nil, 'busy' end
  end
  fleet[field] = arrival
  return wait
end

return {
  rate_of = rate_of,
  bookable = bookable,
  book = book,
}
