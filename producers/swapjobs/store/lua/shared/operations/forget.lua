-- Deletes what is kept of a finished job, pictures' URLs and all, because somebody wants that. The tombstone stays: the
-- vendor does not take a later job of the same id for this one, and nothing is paid twice.
local contract = require('contract')
local records = require('records.record')
local continuations = require('webhooks.continuations')
local deliveries = require('webhooks.delivery')
local keys, UNFINISHED, STATE = contract.keys, contract.UNFINISHED, contract.STATE

local WHY = 'the job was forgotten'

local function end_delivery(id)
  local delivery = deliveries.read(id)
  if delivery and delivery.delivery_state == 'pending' then
    deliveries.detach(id, delivery)
    deliveries.give_up(id, delivery, WHY)
  end
end

-- Returns ok, gone, the state that it has where that is not final, running (its last call still is), or untold (a
-- product's own Celery app still has to be told of its end).
local function forget(id)
  local job = records.read(id)
  if not job then return 'gone' end
  if UNFINISHED[job.state] then return job.state end
  if redis.call('ZSCORE', keys.schedule, 'lease:' .. id) then return STATE.running end
  local pending = redis.call('SMEMBERS', keys.job_deliveries .. id)
  for _, delivery_id in ipairs(pending) do
    if continuations.is_one(delivery_id) then return 'untold' end
  end
  for _, delivery_id in ipairs(pending) do end_delivery(delivery_id) end
  end_delivery(id)
  records.delete(job)
  redis.call('DEL', keys.continuations .. id, keys.job_deliveries .. id)
  return 'ok'
end

return forget
