-- What comes after a product's Celery task: kept with its job, and done as a delivery once the job is final.
local contract = require('contract')
local records = require('records.record')
local notifications = require('webhooks.notifications')
local keys = contract.keys

-- As if it were the host of a receiver: so many at a time, and a breaker.
local OWNER = 'celery'

-- Makes a delivery that tells the product; `data` is JSON, `job` the id of a job or nil.
local function tell(tenant, task, data, job)
  local about = {tenant = tenant, event = 'celery', subject = task, job = job, data = data, unlisted = true}
  notifications.new_delivery(notifications.new_event_id() .. '@' .. OWNER, about, OWNER, '')
end

-- Says whether a delivery tells a product; it is no webhook then.
local function is_one(delivery_id)
  return string.find(delivery_id, '@' .. OWNER .. '$') ~= nil
end

-- Keeps what comes after a task; a task that is known already changes nothing. Returns whether it is new.
local function keep(id, task, data)
  if redis.call('HSETNX', keys.continuations .. id, task, data) == 0 then return false end
  local job = records.read(id)
  records.set(job, 'continued', 1)
  local ttl = records.time_left(job)
  if ttl > 0 then redis.call('PEXPIRE', keys.continuations .. id, ttl) end
  return true
end

-- Tells the products whose tasks became this job.
local function tell_all(id, tenant)
  local kept = redis.call('HGETALL', keys.continuations .. id)
  for i = 1, #kept, 2 do tell(tenant, kept[i], kept[i + 1], id) end
  return kept[1] ~= nil
end

return {
  is_one = is_one,
  tell = tell,
  keep = keep,
  tell_all = tell_all,
}
