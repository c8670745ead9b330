-- Part: deliveries: where each stands, its beginning and its end. A pending one is in one place, as a job is: the line of
-- its host, the runway, or the wake-up set, there as a lease or, with `hook_next_at`, as a time.
-- needs: traffic, host, line, runway, history
local HOOK_FIELDS = {'hook', 'hook_host', 'hook_next_at', 'hook_at', 'hook_claims', 'hook_tries', 'tenant', 'endpoint', 'job'}
-- As long as all tries can take; what is older needs no place in the log once its record has expired.
local LONGEST_DELIVERY_MS = 84 * 3600 * 1000
local FORGOTTEN = 10

local function read_hook(id)
  local hook = {key = record_key(id)}
  local values = redis.call('HMGET', hook.key, unpack(HOOK_FIELDS))
  if not values[1] then return nil end
  for i, name in ipairs(HOOK_FIELDS) do hook[name] = values[i] or nil end
  return hook
end

-- Its tries begin: in line, and in the tenant's log under this time.
local function begin_hook(id, hook)
  local log = K.deliveries .. hook.tenant
  redis.call('HSET', hook.key, 'hook', 'pending', 'hook_at', now_ms)
  if hook.endpoint then redis.call('SADD', K.undelivered .. hook.endpoint, id) end
  if hook.job then redis.call('SADD', K.telling .. hook.job, id) end
  redis.call('ZADD', log, now_ms, id)
  local old = redis.call('ZRANGE', log, '-inf', now_ms - RESULT_TTL_MS - LONGEST_DELIVERY_MS, 'BYSCORE', 'LIMIT', 0, FORGOTTEN)
  if old[1] then redis.call('ZREM', log, unpack(old)) end
  redis.call('PEXPIRE', log, RESULT_TTL_MS + LONGEST_DELIVERY_MS)
  T.hooks_pending = T.hooks_pending + 1
  stand_in_line('webhooks', hook.hook_host, id, false)
end

-- A try is over, or nobody knows of it any more.
local function end_try(host)
  change_host(host, 'in_flight', -1)
  return_host(host)
end

local function leave_hook_place(id, hook)
  if redis.call('ZREM', K.wake, 'delivery:' .. id) == 1 then
    if not hook.hook_next_at then end_try(hook.hook_host) end
  elseif not take_hint('webhooks', hook.hook_host, id) then
    leave_line('webhooks', hook.hook_host, id)
  end
end

local function wake_delivery(id)
  local hook = read_hook(id)
  if not hook or hook.hook ~= 'pending' then return end
  if not hook.hook_next_at then end_try(hook.hook_host) end
  stand_in_line('webhooks', hook.hook_host, id, true)
end

-- A finished job's record is kept until all that tells of it has ended.
local function expire_when_told(id)
  local job = redis.call('HMGET', K.job .. id, 'state', 'hook')
  if job[1] and not MOVES.cancel[job[1]] and job[2] ~= 'pending' and redis.call('EXISTS', K.telling .. id) == 0 then
    expire(id)
  end
end

-- The end of a delivery that has left its place, with the last line of its history.
local function end_hook(id, hook, state, line)
  redis.call('HSET', hook.key, 'hook', state)
  redis.call('HDEL', hook.key, 'hook_next_at')
  add_to_history(id, line)
  T.hooks_pending = math.max(T.hooks_pending - 1, 0)
  if hook.endpoint then redis.call('SREM', K.undelivered .. hook.endpoint, id) end
  if hook.job then redis.call('SREM', K.telling .. hook.job, id) end
  if hook.key ~= K.job .. id then expire(id) end
  expire_when_told(hook.job or id)
end

-- No more tries, and why; one that is under way can't settle it any more.
local function give_up_hook(id, hook, why)
  local line = {kind = 'webhook', at = now_ms, number = tonumber(hook.hook_tries or 0), duration_ms = 0, reason = why}
  redis.call('HINCRBY', hook.key, 'hook_claims', 1)
  end_hook(id, hook, 'undelivered', cjson.encode(line))
end
