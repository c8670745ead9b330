-- What the metrics count (store/metrics.py). It is written down in the step that changes the job, with one command
-- whatever there is to tell, and added up when somebody asks or when much has gathered: so it survives every restart,
-- and nothing is counted twice.
local contract = require('contract')
local keys, STATE, BUCKETS, DEFAULT_TOOL = contract.keys, contract.STATE, contract.BUCKETS, contract.DEFAULT_TOOL

local AT_ONCE = 500
local EIGHT = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'
local observed = {}

local function observe(...)
  observed[#observed + 1] = table.concat({...}, ' ')
end

local function observe_submitted(tool, number)
  observe('submitted', tool, number)
end

-- Observes a call to the vendor: `call` is `kind result ms`, see attempt/executor.py; "" where none was made.
local function observe_call(job, call)
  if call ~= '' then observe('call', job.tool or DEFAULT_TOOL, call) end
end

-- Observes that the vendor did a swap, which it charges for, though the job does not succeed by it (yet).
local function observe_billed(job)
  observe('billed', job.tool or DEFAULT_TOOL)
end

local function observe_end(job, state, now)
  local code = state == STATE.failed and job.code or '-'
  local created_at = job.created_at or now
  local waited = job.started_at and job.started_at - created_at or '-'
  local billed = state == STATE.succeeded and not job.billed and 1 or 0
  observe('job', job.tool or DEFAULT_TOOL, state, code, job.priority, job.tenant, now - created_at, waited, billed)
end

-- Observes a try to deliver a webhook: how it went, and where it was delivered how long that took since the event.
local function observe_webhook(result, lag_ms)
  observe('webhook', result, lag_ms or '-')
end

-- A sum is a table of fields of the hash: how much each grows.
local function add(sum, field, number)
  sum[field] = (sum[field] or 0) + number
end

local function add_time(sum, name, label, ms)
  if ms == '-' then return end
  local bounds, bucket = BUCKETS[name], 1
  ms = math.max(tonumber(ms), 0)
  while bounds[bucket] and ms > bounds[bucket] do bucket = bucket + 1 end
  add(sum, name .. '_bucket ' .. label .. ' ' .. bucket, 1)
  add(sum, name .. '_ms ' .. label, ms)
end

local READ = {
  submitted = function(sum, rest)
    local tool, number = string.match(rest, '^(%S+) (%d+)$')
    add(sum, 'submitted ' .. tool, tonumber(number))
  end,
  call = function(sum, rest)
    local tool, call, result, ms = string.match(rest, '^(%S+) (%S+) (%S+) (%S+)$')
    add(sum, 'vendor_calls ' .. tool .. ' ' .. call .. ' ' .. result, 1)
    add_time(sum, 'vendor_call', tool, ms)
  end,
  billed = function(sum, tool) add(sum, 'billed ' .. tool, 1) end,
  job = function(sum, rest, named)
    local tool, state, code, lane, tenant, ms, waited, billed = string.match(rest, EIGHT)
    add(sum, 'jobs ' .. tool .. ' ' .. state .. ' ' .. code, 1)
    add_time(sum, 'job', tool, ms)
    add_time(sum, 'queue_wait', lane, waited)
    if billed == '1' then add(sum, 'billed ' .. tool, 1) end
    add(sum, 'tenant_jobs ' .. (named[tenant] and tenant or '') .. ' ' .. state, 1)
  end,
  webhook = function(sum, rest)
    local result, lag = string.match(rest, '^(%S+) (%S+)$')
    add(sum, 'webhook_tries ' .. result, 1)
    add_time(sum, 'webhook_lag', '-', lag)
  end,
}

local function collect()
  local lines = redis.call('LRANGE', keys.observations, 0, -1)
  if not lines[1] then return end
  local sum, named = {}, {}
  for _, tenant in ipairs(redis.call('SMEMBERS', keys.metrics_tenants)) do named[tenant] = true end
  for _, line in ipairs(lines) do
    local kind, rest = string.match(line, '^(%l+) (.+)$')
    if READ[kind] then READ[kind](sum, rest, named) end  -- else of a newer version
  end
  for field, number in pairs(sum) do redis.call('HINCRBY', keys.metrics, field, string.format('%.0f', number)) end
  redis.call('DEL', keys.observations)
end

-- What a function that failed has left is nobody's.
local function begin()
  if observed[1] then observed = {} end
end

local function write()
  if not observed[1] then return end
  if redis.call('RPUSH', keys.observations, unpack(observed)) >= AT_ONCE then collect() end
  observed = {}
end

return {
  observe_submitted = observe_submitted,
  observe_call = observe_call,
  observe_billed = observe_billed,
  observe_end = observe_end,
  observe_webhook = observe_webhook,
  collect = collect,
  begin = begin,
  write = write,
}
