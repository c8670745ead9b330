-- The fleet state (store/fleet_state.py): numbers that all workers share, in two packed strings. They are read before
-- every call and written after it where the call changed them. Modules know the numbers as `contract.fleet.<name>`; two
-- more are no part of it: `spacing`, ms from one call to the next as of now, and `result_ttl_ms`, which the caller
-- gives.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet, seldom, PHASE = contract.keys, contract.fleet, contract.seldom, contract.PHASE

-- Calls leave a little later than booked, some more than others: with this much of the rate left unused, those of a
-- window of T ms keep to the limit as long as none is more than 0.015 T late.
local RESERVE = 1.015

-- Of each string: how it lay in Redis when this call began, and what this version does not know of it.
local traffic, state = {}, {}
-- The text whose numbers the tables hold: most calls find what the last one left. Then what changes seldom is known as
-- well, since `state_version` stands in this one.
local known
local seldom_changed = false

-- `emptied`: how often this server process was found without data of ours. What modules remember beyond a call holds
-- for one of them.
local M = {emptied = 0}

-- Returns the share of the full rate that may be used now: after an outage it grows, so that the vendor is not hit by
-- everything at once.
function M.ramp()
  local ramped = (clock.now - fleet.reset_at) / math.max(fleet.ramp, 1)
  return ramped >= 0 and ramped < 1 and math.max(ramped, 0.1) or 1
end

-- Returns the share of the limit that a call made at `time` may use: more while more is tried (vendor/adaptive_rate).
local function share_at(time)
  local trial = fleet.phase == PHASE.more and time >= fleet.phase_from and time < fleet.tried_until
  return trial and fleet.tried or fleet.rate_factor
end

-- Lets what changes seldom be found among the rest, and be noted where it does change. When the library is loaded Redis
-- does not offer `setmetatable` yet.
local function join_tables()
  setmetatable(fleet, {
    __index = seldom,
    __newindex = function(_, name, number)
      if seldom[name] ~= number then seldom[name], seldom_changed = number, true end
    end,
  })
end

-- Takes the numbers of a string; returns what a newer version has appended.
local function take_in(text, defaults, unpack_numbers)
  local missing = #defaults - #text  -- of an older version, or there was nothing yet
  unpack_numbers(missing > 0 and text .. string.sub(defaults, -missing) or text)
  return string.sub(text, #defaults + 1)
end

-- Returns the ms from one call to the next as of now.
local function spacing()
  return fleet.interval * RESERVE / share_at(math.max(clock.now, fleet.arrival)) / M.ramp()
end

function M.read()
  if not getmetatable(fleet) then join_tables() end
  traffic.stored = redis.call('GET', keys.fleet_traffic) or ''
  if traffic.stored == '' then M.emptied = M.emptied + 1 end
  if traffic.stored ~= known then
    state.stored = redis.call('GET', keys.fleet_state) or ''
    traffic.newer = take_in(traffic.stored, contract.default_traffic, contract.unpack_traffic)
    state.newer = take_in(state.stored, contract.default_state, contract.unpack_state)
  end
  known, seldom_changed = nil, false  -- until this call has ended well
  fleet.spacing = spacing()
end

-- Sets the spacing as an operation is to find it that comes after others in the same call.
function M.renew_spacing()
  if seldom_changed or fleet.phase == PHASE.more then fleet.spacing = spacing() end
end

function M.write()
  if seldom_changed then
    fleet.state_version = fleet.state_version + 1
    redis.call('SET', keys.fleet_state, contract.pack_state() .. state.newer)
  end
  local packed = contract.pack_traffic() .. traffic.newer
  if packed ~= traffic.stored then redis.call('SET', keys.fleet_traffic, packed) end
  known = packed
end

-- What a call that may not write has worked out is nobody's.
function M.forget_changes()
  if not seldom_changed and contract.pack_traffic() .. traffic.newer == traffic.stored then known = traffic.stored end
end

return M
