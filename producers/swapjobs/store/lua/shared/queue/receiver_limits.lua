-- The hosts of webhook receivers: how many tries each may have at a time, and a breaker for each. A dead host holds a
-- few slots for a short time, and then none but for a probe now and then. A function reads a host once, and it is
-- written once, at the function's end.
local contract = require('contract')
local clock = require('fleet.clock')
local keys, fleet = contract.keys, contract.fleet

local FIRST_TRIES, SLOW_MS, FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 4, 2000, 5, 1000, 300000
local HOST_UNUSED_MS = 86400000
local HOST = {'in_flight', 'messages', 'tries', 'streak', 'gap', 'opens_at'}
local read_ones, changed, freed = {}, {}, {}

-- Returns how many tries one host may have at a time: never all slots.
local function most_tries()
  return math.max(math.floor(0.75 * fleet.webhook_slots), 1)
end

-- Returns the host, always the same one in one call.
local function read(name)
  local host = read_ones[name]
  if host then return host end
  local values = redis.call('HMGET', keys.host .. name, unpack(HOST))
  host = {}
  for i, field in ipairs(HOST) do host[field] = tonumber(values[i] or 0) end
  host.tries = math.min(host.tries > 0 and host.tries or FIRST_TRIES, most_tries())
  if host.opens_at > clock.now + host.gap then host.opens_at = 0 end  -- the clock was put back
  read_ones[name] = host
  return host
end

-- Returns how many more messages of this host may be out.
local function room(host)
  if host.opens_at > clock.now then return 0 end
  return (host.gap > 0 and 1 or host.tries) - host.in_flight - host.messages
end

-- Notes that a host may have room again, for what waits for it (fair.rejoin_hosts).
local function free(name)
  freed[name] = true
end

local function change(name, field, by)
  local host = read(name)
  host[field] = math.max(host[field] + by, 0)
  changed[name] = host
  if by < 0 then free(name) end
end

-- Schedules the end of a host's pause. Without one, the end of a try or a message that is taken lets it take part
-- again.
local function schedule_opening(name, host)
  if host.opens_at > clock.now then redis.call('ZADD', keys.schedule, math.ceil(host.opens_at), 'host:' .. name) end
end

-- Records what a try says of its host: up, down, or nothing (""), and how long it took. A host that is slow gets fewer
-- tries at a time, like one that fails.
local function record_result(name, says, took_ms)
  if says == '' then return end
  local host, pause = read(name), nil
  if says == 'up' then
    host.streak, host.gap = 0, 0
  else
    host.streak = host.streak + 1
    if host.gap == 0 and host.streak >= FAILURES then pause = FIRST_PAUSE_MS end
    -- not for a try that was begun before the pause
    if host.gap > 0 and host.opens_at <= clock.now then pause = math.min(2 * host.gap, LONGEST_PAUSE_MS) end
  end
  local well = says == 'up' and took_ms <= SLOW_MS
  host.tries = well and math.min(host.tries + 1, most_tries()) or math.max(math.floor(host.tries / 2), 1)
  if pause then host.gap, host.opens_at = pause, clock.now_ms + pause end
  if host.gap == 0 then host.opens_at = 0 end
  changed[name] = host
end

-- Returns the hosts that were noted to be free, each once.
local function take_freed()
  local names = freed
  if next(names) then freed = {} end
  return names
end

-- Forgets what an earlier call has read, and what one that failed has left.
local function begin()
  if next(read_ones) then read_ones = {} end
  if next(changed) then changed = {} end
  if next(freed) then freed = {} end
end

local function write()
  for name, host in pairs(changed) do
    local key = keys.host .. name
    redis.call('HSET', key, 'in_flight', host.in_flight, 'messages', host.messages, 'tries', host.tries,
               'streak', host.streak, 'gap', host.gap, 'opens_at', string.format('%.0f', host.opens_at))
    redis.call('PEXPIRE', key, HOST_UNUSED_MS)
  end
end

return {
  read = read,
  room = room,
  free = free,
  change = change,
  schedule_opening = schedule_opening,
  record_result = record_result,
  take_freed = take_freed,
  begin = begin,
  write = write,
}
