-- Accept jobs: idempotency check, record, place in the queue, refill, in one step. Refused as a whole when Redis is
-- full.
-- ARGV, eight for each job: id, fingerprint, tenant, priority, business id, request (JSON), and `expires_at
--   webhook_host batch`, each of them "-" where there is none; until when its URLs work (signed_urls.lua)
-- Returns for each job: created, existing, conflict, closed (its batch is), or full (Redis is nearly at its memory
-- limit).
local contract = require('contract')
local clock = require('fleet.clock')
local batches = require('batches.batch')
local job_index = require('jobs.index')
local signed_urls = require('jobs.signed_urls')
local fair = require('queue.fair')
local refill = require('queue.refill')
local keys, fleet, STATE = contract.keys, contract.fleet, contract.STATE

local function call(args)
  local outcomes, added, closed = {}, {}, {}
  local function is_closed(tenant, batch)
    local name = tenant .. ':' .. batch
    if closed[name] == nil then closed[name] = batches.open(tenant, batch) or false end
    return closed[name]
  end
  for i = 1, #args, 8 do
    local id, fingerprint, tenant, priority = args[i], args[i + 1], args[i + 2], args[i + 3]
    local expires_at, webhook_host, batch = string.match(args[i + 6], '^(%S+) (%S+) (%S+)$')
    local known = redis.call('HGET', keys.job .. id, 'fingerprint')
    if known then
      outcomes[#outcomes + 1] = known == fingerprint and 'existing' or 'conflict'
    elseif fleet.memory_full == 1 then
      outcomes[#outcomes + 1] = 'full'
    elseif batch ~= '-' and is_closed(tenant, batch) then
      outcomes[#outcomes + 1] = 'closed'
    else
      redis.call('HSET', keys.job .. id, 'state', STATE.queued, 'tenant', tenant, 'priority', priority,
                 'business_id', args[i + 4], 'fingerprint', fingerprint, 'created_at', clock.now_ms,
                 unpack(batch ~= '-' and {'batch', batch} or {}))
      redis.call('SET', keys.history .. id, args[i + 5])
      if expires_at ~= '-' then
        redis.call('HSET', keys.job .. id, 'expires_at', expires_at)
        redis.call('ZADD', keys.schedule, expires_at, 'expiry:' .. id)
      end
      if webhook_host ~= '-' then
        redis.call('HSET', keys.job .. id, 'delivery_state', 'none', 'delivery_host', webhook_host)
      end
      if batch ~= '-' then
        added[tenant .. ':' .. batch] = (added[tenant .. ':' .. batch] or 0) + 1
      end
      if args[i + 7] ~= '-' then signed_urls.note(id, args[i + 7]) end
      job_index.add(id, tenant, batch ~= '-' and batch)
      local grave = redis.call('GET', keys.tombstone .. id)
      if grave then
        -- the id was used before: the vendor must not take this job for the old one
        redis.call('HSET', keys.job .. id, 'generation', tonumber(string.match(grave, '(%d+)$')) + 1)
      end
      fair.enqueue(priority, tenant, id, false)
      outcomes[#outcomes + 1] = 'created'
    end
  end
  for name, number in pairs(added) do
    redis.call('HINCRBY', keys.batch .. name, STATE.queued, number)
    batches.keep(name)
  end
  refill.swaps()
  return outcomes
end

return {flags = {}, call = call}
