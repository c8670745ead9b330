-- Accepts jobs: idempotency check, record, place in the queue. `finish` is called when all of one step are accepted.
local contract = require('contract')
local clock = require('fleet.clock')
local metrics = require('fleet.metrics')
local batches = require('batches.batch')
local job_index = require('jobs.index')
local signed_urls = require('jobs.signed_urls')
local fair = require('queue.fair')
local refill = require('queue.refill')
local records = require('records.record')
local tombstones = require('records.tombstones')
local keys, fleet, STATE = contract.keys, contract.fleet, contract.STATE

local function begin()
  local added, closed, submitted = {}, {}, {}

  local function is_closed(tenant, batch)
    local name = tenant .. ':' .. batch
    if closed[name] == nil then closed[name] = batches.open(tenant, batch) or false end
    return closed[name]
  end

  local function record(id, tenant, args, i, expires_at, webhook_host, batch, tool)
    local job = records.create(id, {
      state = STATE.queued, tenant = tenant, priority = args[i + 3], business_id = args[i + 4],
      fingerprint = args[i + 1], created_at = clock.now_ms,
    }, args[i + 5])
    if batch ~= '-' then
      records.set(job, 'batch', batch)
      added[tenant .. ':' .. batch] = (added[tenant .. ':' .. batch] or 0) + 1
    end
    if expires_at ~= '-' then
      records.set(job, 'expires_at', expires_at)
      redis.call('ZADD', keys.schedule, expires_at, 'expiry:' .. id)
    end
    if webhook_host ~= '-' then records.set(job, 'delivery_state', 'none', 'delivery_host', webhook_host) end
    if tool ~= contract.DEFAULT_TOOL then records.set(job, 'tool', tool) end
    submitted[tool] = (submitted[tool] or 0) + 1
    if args[i + 7] ~= '-' then signed_urls.note(job, args[i + 7]) end
    job_index.add(job, batch ~= '-' and batch)
    local before = tombstones.generation_of(id)
    -- the id was used before: the vendor must not take this job for the old one
    if before then records.set(job, 'generation', before + 1) end
    fair.enqueue(args[i + 3], tenant, id, false)
  end

  -- Accepts the job of eight arguments from `i` on: id, fingerprint, tenant, priority, business id, request (JSON);
  -- `expires_at webhook_host batch tool`, each but the last "-" where there is none; until when its URLs work
  -- (signed_urls.lua).
  -- Returns created, existing, conflict, closed (its batch is), or full (Redis is nearly at its memory limit).
  local function accept(args, i)
    local id, fingerprint, tenant = args[i], args[i + 1], args[i + 2]
    local expires_at, webhook_host, batch, tool = string.match(args[i + 6], '^(%S+) (%S+) (%S+) (%S+)$')
    local known = records.read(id)
    if known then return known.fingerprint == fingerprint and 'existing' or 'conflict' end
    if fleet.memory_full == 1 then return 'full' end
    if batch ~= '-' and is_closed(tenant, batch) then return 'closed' end
    record(id, tenant, args, i, expires_at, webhook_host, batch, tool)
    return 'created'
  end

  local function finish()
    for name, number in pairs(added) do
      redis.call('HINCRBY', keys.batch .. name, STATE.queued, number)
      batches.keep(name)
    end
    for tool, number in pairs(submitted) do metrics.observe_submitted(tool, number) end
    refill.swaps()
  end

  return accept, finish
end

return begin
