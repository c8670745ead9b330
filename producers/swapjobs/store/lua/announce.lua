-- Part: telling of an event: the URL given for it, and the tenant's endpoints that want it.
-- needs: traffic, deliver
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
