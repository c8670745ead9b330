-- Part: a tenant's endpoints: whom to tell, and the end of those that fail for days.
-- needs: traffic, deliver
local FAILING_MS, QUIET_MS, SWEPT = 5 * 86400000, 2 * 86400000, 100
local ENDPOINT_FIELDS = {'state', 'events', 'host', 'url'}

local function endpoint_of(id)
  local values, endpoint = redis.call('HMGET', K.endpoint .. id, unpack(ENDPOINT_FIELDS)), {id = id}
  if not values[1] then return nil end
  for i, name in ipairs(ENDPOINT_FIELDS) do endpoint[name] = values[i] end
  return endpoint
end

-- The enabled endpoints of a tenant that want this event; with no endpoint anywhere it costs nothing to ask.
local function endpoints_for(tenant, event)
  local found = {}
  for _, id in ipairs(T.endpoints > 0 and redis.call('SMEMBERS', K.endpoints .. tenant) or found) do
    local each = endpoint_of(id)
    local wants = each and (each.events == '*' or string.find(',' .. each.events .. ',', ',' .. event .. ',', 1, true))
    if wants and each.state == 'enabled' then found[#found + 1] = each end
  end
  return found
end

-- A delivery with a record of its own. `about`: tenant, event, subject, `job` where it tells of one, else `data`; and
-- `endpoint`, or none for a URL given once.
local function new_delivery(id, about, host, url)
  local hook = {key = K.delivery .. id, hook_host = host, tenant = about.tenant, endpoint = about.endpoint, job = about.job}
  redis.call('HSET', hook.key, 'tenant', about.tenant, 'event', about.event, 'subject', about.subject,
             'created_at', now_ms, 'hook_host', host)
  if hook.endpoint then redis.call('HSET', hook.key, 'endpoint', hook.endpoint) end
  if hook.job then redis.call('HSET', hook.key, 'job', hook.job) end
  redis.call('SET', K.history .. id, cjson.encode({url = url, data = about.data}))
  begin_hook(id, hook)
end

-- What happened has no id of its own.
local function new_message()
  T.sequence = T.sequence + 1
  return string.format('evt_%.0f_%.0f', now_ms, T.sequence)
end

-- Tell of an event: `data` is JSON, `url` is told besides the tenant's endpoints unless it is ''.
local function announce(tenant, event, subject, data, url)
  local message, about = new_message(), {tenant = tenant, event = event, subject = subject, data = data}
  if url ~= '' then
    new_delivery(message .. '@url', about, string.lower(string.match(url, '^%a+://([^/?#]*)') or ''), url)
  end
  for _, endpoint in ipairs(endpoints_for(tenant, event)) do
    about.endpoint = endpoint.id
    new_delivery(message .. '@' .. endpoint.id, about, endpoint.host, endpoint.url)
  end
  refill_webhooks()
end

local function disable_endpoint(id, why)
  local values = redis.call('HMGET', K.endpoint .. id, 'tenant', 'url')
  redis.call('HSET', K.endpoint .. id, 'state', 'disabled', 'disabled_reason', why)
  redis.call('ZADD', K.wake, now_ms, 'undeliver:' .. id)
  announce(values[1], 'endpoint.disabled', id, cjson.encode({url = values[2], reason = why}), '')
end

-- Why nothing is sent to it any more; nil while it is enabled.
local function why_ended(id)
  local values = redis.call('HMGET', K.endpoint .. id, 'state', 'disabled_reason')
  if values[1] == 'enabled' then return nil end
  return values[1] and 'the endpoint is disabled: ' .. (values[2] or 'by hand') or 'the endpoint was removed'
end

-- Note what came of a try at an endpoint; returns whether that was the last one: it wants no more, or has failed for days.
local function judge_endpoint(id, delivered, why)
  local key = K.endpoint .. id
  local seen = redis.call('HMGET', key, 'state', 'failing_since', 'failed_at')
  if seen[1] ~= 'enabled' then return false end
  if delivered then
    if seen[2] then redis.call('HDEL', key, 'failing_since', 'failed_at') end
    return false
  end
  -- where nothing was sent for long, nothing is known of the time between
  local since = seen[2] and now - seen[3] < QUIET_MS and tonumber(seen[2]) or now_ms
  redis.call('HSET', key, 'failing_since', string.format('%.0f', since), 'failed_at', now_ms)
  if why == '' and now - since >= FAILING_MS then why = 'it has failed for 5 days' end
  if why ~= '' then disable_endpoint(id, why) end
  return why ~= ''
end
