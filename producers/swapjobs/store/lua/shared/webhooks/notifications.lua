-- Who is notified of an event: the URL that was given for it, and the tenant's endpoints that want it.
local contract = require('contract')
local clock = require('fleet.clock')
local refill = require('queue.refill')
local records = require('records.record')
local deliveries = require('webhooks.delivery')
local keys, fleet = contract.keys, contract.fleet

local ENDPOINT_FIELDS = {'state', 'events', 'host', 'url'}

local function read_endpoint(id)
  local values, endpoint = redis.call('HMGET', keys.endpoint .. id, unpack(ENDPOINT_FIELDS)), {id = id}
  if not values[1] then return nil end
  for i, name in ipairs(ENDPOINT_FIELDS) do endpoint[name] = values[i] end
  return endpoint
end

-- Returns the enabled endpoints of a tenant that want this event; with no endpoint anywhere that costs nothing.
local function endpoints_for(tenant, event)
  local found = {}
  for _, id in ipairs(fleet.endpoints > 0 and redis.call('SMEMBERS', keys.endpoints .. tenant) or found) do
    local item = read_endpoint(id)
    local wants = item and (item.events == '*' or string.find(',' .. item.events .. ',', ',' .. event .. ',', 1, true))
    if wants and item.state == 'enabled' then found[#found + 1] = item end
  end
  return found
end

-- Makes a delivery with a record of its own. `about`: tenant, event, subject, `job` where it tells of one, else `data`;
-- and `endpoint`, or none for a URL given once. `unlisted`: it is no webhook, and not in the tenant's log.
local function new_delivery(id, about, host, url)
  local history = cjson.encode({url = url, data = about.data})
  local delivery = records.create(id, {tenant = about.tenant, created_at = clock.now_ms}, history)
  local subject = string.gsub(about.subject, '%c', ' ')  -- perhaps the id of a product's task: any text at all
  records.set(delivery, 'event', about.event, 'subject', subject, 'delivery_host', host)
  if about.endpoint then records.set(delivery, 'endpoint', about.endpoint) end
  if about.job then records.set(delivery, 'job', about.job) end
  deliveries.start(id, delivery, about.unlisted)
end

-- Returns an id for an event that has none of its own.
local function new_event_id()
  fleet.sequence = fleet.sequence + 1
  return string.format('evt_%.0f_%.0f', clock.now_ms, fleet.sequence)
end

-- Notifies of an event: `data` is JSON, `url` gets it besides the tenant's endpoints unless it is ''.
local function publish_event(tenant, event, subject, data, url)
  local message, about = new_event_id(), {tenant = tenant, event = event, subject = subject, data = data}
  if url ~= '' then
    new_delivery(message .. '@url', about, string.lower(string.match(url, '^%a+://([^/?#]*)') or ''), url)
  end
  for _, endpoint in ipairs(endpoints_for(tenant, event)) do
    about.endpoint = endpoint.id
    new_delivery(message .. '@' .. endpoint.id, about, endpoint.host, endpoint.url)
  end
  refill.webhooks()
end

-- Returns the message id of the deliveries that tell of this end of the job; `%g` would round.
local function message_id(id, generation, round)
  return string.format('%s_%.0f_%.0f', id, generation or 1, round or 1)
end

-- Notifies of a job's end, in the step that ends it. Returns whether anybody is notified.
local function notify_job_finished(id, job, state)
  local event, endpoints = 'swap.' .. state, endpoints_for(job.tenant, 'swap.' .. state)
  if job.delivery_host then
    deliveries.start(id, job)
  end
  if not endpoints[1] then return job.delivery_host end
  local message = message_id(id, job.generation, job.round)
  for _, item in ipairs(endpoints) do
    local about = {tenant = job.tenant, event = event, subject = id, job = id, endpoint = item.id}
    new_delivery(message .. '@' .. item.id, about, item.host, item.url)
  end
  return true
end

-- Gives up what tells of a job's end that is none any more. A try that is under way can't settle what the next end will
-- schedule.
local function supersede(id, job)
  for _, telling in ipairs(redis.call('SMEMBERS', keys.job_deliveries .. id)) do
    local delivery = deliveries.read(telling)
    if delivery then
      deliveries.detach(telling, delivery)
      deliveries.give_up(telling, delivery, 'the job was retried')
    end
  end
  local own = deliveries.read(id)
  if not own then return end
  if own.delivery_state == 'pending' then
    deliveries.detach(id, own)
    records.increase(job, 'delivery_claims', 1)
    fleet.deliveries_pending = math.max(fleet.deliveries_pending - 1, 0)
  end
  records.set(job, 'delivery_state', 'none')
  records.clear(job, 'delivery_tries', 'delivery_status', 'delivery_next_at')
end

return {
  read_endpoint = read_endpoint,
  new_delivery = new_delivery,
  new_event_id = new_event_id,
  publish_event = publish_event,
  message_id = message_id,
  notify_job_finished = notify_job_finished,
  supersede = supersede,
}
