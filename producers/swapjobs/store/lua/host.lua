-- Part: the hosts of receivers: how many tries each may have at a time, and a breaker for each. A dead one holds a few slots
-- for a short time, and then none but for a probe now and then.
-- needs: traffic
local FIRST_TRIES, SLOW_MS, FAILURES, FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 4, 2000, 5, 1000, 300000
local HOST_UNUSED_MS = 86400000
local HOST = {'in_flight', 'hints', 'tries', 'streak', 'gap', 'opens_at'}

-- One host may never have all slots.
local function most_tries()
  return math.max(math.floor(0.75 * T.webhook_slots), 1)
end

local function host_of(name)
  local values, host = redis.call('HMGET', K.host .. name, unpack(HOST)), {}
  for i, field in ipairs(HOST) do host[field] = tonumber(values[i] or 0) end
  host.tries = math.min(host.tries > 0 and host.tries or FIRST_TRIES, most_tries())
  if host.opens_at > now + host.gap then host.opens_at = 0 end  -- the clock was put back
  return host
end

-- How many more hints of this host may be out.
local function host_room(host)
  if host.opens_at > now then return 0 end
  return (host.gap > 0 and 1 or host.tries) - host.in_flight - host.hints
end

local function change_host(name, field, change)
  local key = K.host .. name
  if redis.call('HINCRBY', key, field, change) < 0 then redis.call('HSET', key, field, 0) end
  redis.call('PEXPIRE', key, HOST_UNUSED_MS)
end

-- Else the end of a try, or a hint that is used, brings its line back.
local function wake_when_open(name, host)
  if host.opens_at > now then redis.call('ZADD', K.wake, math.ceil(host.opens_at), 'host:' .. name) end
end

-- Take in what a try says of its host: up, down, or nothing (""), and how long it took. A host that is slow gets fewer
-- tries at a time, like one that fails.
local function hear_host(name, says, took_ms)
  if says == '' then return end
  local host, pause = host_of(name), nil
  if says == 'up' then
    host.streak, host.gap = 0, 0
  else
    host.streak = host.streak + 1
    if host.gap == 0 and host.streak >= FAILURES then pause = FIRST_PAUSE_MS end
    -- not for a try that was begun before the pause
    if host.gap > 0 and host.opens_at <= now then pause = math.min(2 * host.gap, LONGEST_PAUSE_MS) end
  end
  local well = says == 'up' and took_ms <= SLOW_MS
  host.tries = well and math.min(host.tries + 1, most_tries()) or math.max(math.floor(host.tries / 2), 1)
  if pause then host.gap, host.opens_at = pause, now_ms + pause end
  redis.call('HSET', K.host .. name, 'streak', host.streak, 'gap', host.gap, 'tries', host.tries,
             'opens_at', string.format('%.0f', host.gap > 0 and host.opens_at or 0))
  redis.call('PEXPIRE', K.host .. name, HOST_UNUSED_MS)
end
