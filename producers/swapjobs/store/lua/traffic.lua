-- Part: the fleet's traffic state (traffic.py), the time, and what holds for every call: pauses, the breaker.
-- needs: clock
-- T: the numbers by name, read before every script and written after it where it changed them (read_numbers and
-- packed_numbers are made by lua_text.py)
local now, now_ms, interval = 0, 0, 0  -- the time in ms; ms from one call to the next as of now
local stored, of_newer_versions = nil, nil
-- Calls leave a little later than booked, some more than others: with this much of the rate left unused, those of a window
-- of T ms keep to the limit as long as none is more than 0.015 T late.
local RESERVE = 1.015

local function read_traffic()
  stored = redis.call('GET', K.traffic) or ''
  local missing = #DEFAULTS - #stored  -- of an older version, or there was nothing yet
  read_numbers(missing > 0 and stored .. string.sub(DEFAULTS, -missing) or stored)
  of_newer_versions = string.sub(stored, #DEFAULTS + 1)
end

local function write_traffic()
  local packed = packed_numbers() .. of_newer_versions
  if packed ~= stored then redis.call('SET', K.traffic, packed) end
end

-- After an outage the rate grows to its full height, so that the vendor is not hit by everything at once.
local function ramp()
  local ramped = (now - T.reset_at) / math.max(T.ramp, 1)
  return ramped >= 0 and ramped < 1 and math.max(ramped, 0.1) or 1
end

-- The share of the limit that a call may use that is made then: more while more is tried (learn.lua).
local function share_at(time)
  return T.phase == PHASE.more and time >= T.phase_from and time < T.tried_until and T.tried or T.learned
end

local function begin()
  now = clock()
  now_ms = math.floor(now)
  read_traffic()
  interval = T.interval * RESERVE / share_at(math.max(now, T.arrival)) / ramp()
end

local scripts, bodies = {}, {}
local function script(name, flags, body)
  scripts[#scripts + 1] = {function_name = PREFIX .. name, flags = flags, callback = function(_, arguments)
    begin()
    local answer = body(arguments)
    if flags[1] ~= 'no-writes' then write_traffic() end
    return answer
  end}
  scripts[name], bodies[name] = scripts[#scripts], body
end

-- By the vendor's Retry-After; a pause by the user's hand, `held`, has no end of its own.
local function paused_for()
  return math.min(math.max(T.paused_until - now, 0), MAX_PAUSE_MS)
end

-- Why no call at all may be made now: held, paused, outage (the breaker; but a probe may), or nil.
local function closed_by()
  if T.held > 0 then return 'held' end
  if paused_for() > 0 then return 'paused' end
  if T.tripped > 0 then return 'outage' end
end

-- One probe at a time; but one that hangs, or whose worker died, is not waited for (see begin_probe).
local function may_probe()
  return now >= T.probe_at
end

local function pause_until(time)
  T.paused_until = math.max(T.paused_until, math.min(time, now + MAX_PAUSE_MS))
end

local function count(what)
  redis.call('HINCRBY', K.counts, what, 1)
end
