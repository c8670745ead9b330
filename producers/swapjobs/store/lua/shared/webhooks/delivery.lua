-- Deliveries: where each stands, its beginning and its end. A pending one is in one place, as a job is: the queue of
-- its host, the ready queue, or the schedule, there as a lease or, with `delivery_next_at`, as a time.
local contract = require('contract')
local clock = require('fleet.clock')
local retention = require('fleet.retention')
local fair = require('queue.fair')
local ready = require('queue.ready')
local receiver_limits = require('queue.receiver_limits')
local records = require('records.record')
local keys, fleet, UNFINISHED = contract.keys, contract.fleet, contract.UNFINISHED

-- All tries together take no longer; what is older needs no place in the log once its record has expired.
local LONGEST_DELIVERY_MS = 84 * 3600 * 1000
local FORGOTTEN = 10

-- Returns the record in which a delivery stands: a job's own lies in the job's.
local function read(id)
  local record = records.read(id)
  return record and record.delivery_state and record or nil
end

-- Puts a delivery into its tenant's log, under this time.
local function list(tenant, id)
  local log = keys.deliveries .. tenant
  redis.call('ZADD', log, clock.now_ms, id)
  local kept_ms = retention(tenant) + LONGEST_DELIVERY_MS
  local forgotten_at = clock.now_ms - kept_ms
  local old = redis.call('ZRANGE', log, '-inf', forgotten_at, 'BYSCORE', 'LIMIT', 0, FORGOTTEN)
  if old[1] then redis.call('ZREM', log, unpack(old)) end
  redis.call('PEXPIRE', log, kept_ms)
end

-- Begins the tries of a delivery: it is queued and, unless `unlisted`, in its tenant's log.
local function start(id, delivery, unlisted)
  records.set(delivery, 'delivery_state', 'pending', 'delivery_started_at', clock.now_ms)
  if delivery.endpoint then redis.call('SADD', keys.undelivered .. delivery.endpoint, id) end
  if delivery.job then redis.call('SADD', keys.job_deliveries .. delivery.job, id) end
  if not unlisted then list(delivery.tenant, id) end
  fleet.deliveries_pending = fleet.deliveries_pending + 1
  fair.enqueue('webhooks', delivery.delivery_host, id, false)
end

-- Takes a delivery out of the one place where it stands.
local function detach(id, delivery)
  if redis.call('ZREM', keys.schedule, 'delivery:' .. id) == 1 then
    if not delivery.delivery_next_at then receiver_limits.change(delivery.delivery_host, 'in_flight', -1) end
  elseif not ready.take('webhooks', delivery.delivery_host, id) then
    fair.remove('webhooks', delivery.delivery_host, id)
  end
end

-- Queues a delivery whose time has come, or whose lease has run out.
local function retry_due(id)
  local delivery = read(id)
  if not delivery or delivery.delivery_state ~= 'pending' then return end
  if not delivery.delivery_next_at then receiver_limits.change(delivery.delivery_host, 'in_flight', -1) end
  fair.enqueue('webhooks', delivery.delivery_host, id, true)
end

-- Lets a finished job's record expire once all deliveries that tell of it have ended.
local function expire_when_delivered(id, tenant)
  local job = records.read(id)
  local is_over = job and job.state and not UNFINISHED[job.state] and job.delivery_state ~= 'pending'
  if is_over and redis.call('EXISTS', keys.job_deliveries .. id) == 0 then
    local ttl_ms = retention(tenant)
    records.expire(job, ttl_ms)
    if job.continued then redis.call('PEXPIRE', keys.continuations .. id, ttl_ms) end
  end
end

-- Ends a delivery that was detached, with the last entry of its history.
local function finish(id, delivery, state, entry)
  records.set(delivery, 'delivery_state', state)
  records.clear(delivery, 'delivery_next_at')
  records.append(delivery, entry)
  fleet.deliveries_pending = math.max(fleet.deliveries_pending - 1, 0)
  if delivery.endpoint then redis.call('SREM', keys.undelivered .. delivery.endpoint, id) end
  if delivery.job then redis.call('SREM', keys.job_deliveries .. delivery.job, id) end
  if not delivery.state then records.expire(delivery, retention(delivery.tenant)) end
  expire_when_delivered(delivery.job or id, delivery.tenant)
end

-- Gives a delivery up, and says why; a try that is under way can't settle it any more.
local function give_up(id, delivery, why)
  local entry = {kind = 'webhook', at = clock.now_ms, number = tonumber(delivery.delivery_tries or 0), duration_ms = 0,
                 reason = why}
  records.increase(delivery, 'delivery_claims', 1)
  finish(id, delivery, 'undelivered', cjson.encode(entry))
end

return {
  LONGEST_DELIVERY_MS = LONGEST_DELIVERY_MS,
  read = read,
  start = start,
  detach = detach,
  retry_due = retry_due,
  finish = finish,
  give_up = give_up,
}
