-- What the metrics count (store/metrics.py). It is written down in the step that changes the job, with one command
-- whatever there is to tell, and added up when somebody asks or when much has gathered: so it survives every restart,
-- and nothing is counted twice.
local contract = require('contract')
local clock = require('fleet.clock')
local trends = require('fleet.trends')
local keys, STATE, BUCKETS, DEFAULT_TOOL = contract.keys, contract.STATE, contract.BUCKETS, contract.DEFAULT_TOOL

local AT_ONCE = 500
local observed = {}

local function observe(line)
  observed[#observed + 1] = line
end

local function observe_submitted(tool, number)
  observe('submitted ' .. tool .. ' ' .. number)
end

-- Observes a call to the vendor: `facts` of attempt/executor.py, "" where none was made. They are text until they are
-- added up, since this is on every job's way.
local function observe_call(facts)
  if facts ~= '' then observe('call ' .. facts) end
end

-- Observes that the vendor did a swap, which it charges for, though the job does not succeed by it (yet).
local function observe_billed(tool)
  observe('billed ' .. tool)
end

-- Observes a job's end, and the call that ended it: of that are `job.facts`.
local function observe_end(job, state, now)
  local facts = job.facts
  if not facts then
    local times = job.created_at .. ' ' .. (job.started_at or '-')
    facts = (job.tool or DEFAULT_TOOL) .. ' ' .. times .. ' ' .. (job.billed or '-') .. ' - - 0'
  end
  local code = state == STATE.failed and job.code or '-'
  observe('job ' .. state .. ' ' .. code .. ' ' .. job.priority .. ' ' .. job.tenant .. ' ' .. now .. ' ' .. facts)
end

-- Observes a try to deliver a webhook: how it went, and where it was delivered how long that took since the event.
local function observe_webhook(result, lag_ms)
  observe('webhook ' .. result .. ' ' .. (lag_ms or '-'))
end

-- Times in buckets: `name` is one of `BUCKETS`.
local function new_times(name)
  return {name = name, bounds = BUCKETS[name], sum = 0, buckets = {}}
end

local function add_time(times, ms)
  if ms == '-' then return end
  local bucket, bounds = 1, times.bounds
  ms = math.max(tonumber(ms), 0)
  while bounds[bucket] and ms > bounds[bucket] do bucket = bucket + 1 end
  times.buckets[bucket] = (times.buckets[bucket] or 0) + 1
  times.sum = times.sum + ms
end

local function add(sum, field, number)
  sum[field] = (sum[field] or 0) + number
end

local function add_times(sum, times, label)
  if not next(times.buckets) then return end
  for bucket, number in pairs(times.buckets) do
    add(sum, times.name .. '_bucket ' .. label .. ' ' .. bucket, number)
  end
  add(sum, times.name .. '_ms ' .. label, times.sum)
end

-- What was seen of the same labels together, so that a field's name is made once and not for every job.
local function group_of(groups, labels, make)
  local group = groups[labels]
  if not group then
    group = make()
    group.number = 0
    groups[labels] = group
  end
  group.number = group.number + 1
  return group
end

local function new_calls() return {took = new_times('vendor_call')} end
local function new_jobs() return {took = new_times('job'), waited = new_times('queue_wait')} end
local function new_tries() return {late = new_times('webhook_lag')} end

local function read_call(all, tool, call, ms)
  if call ~= '- -' then add_time(group_of(all.calls, tool .. ' ' .. call, new_calls).took, ms) end
end

local READ = {
  submitted = function(all, rest)
    local tool, number = string.match(rest, '^(%S+) (%d+)$')
    add(all.sum, 'submitted ' .. tool, tonumber(number))
    trends.add(all.trends, all.minute, 'submitted', tonumber(number))
  end,
  billed = function(all, tool)
    add(all.sum, 'billed ' .. tool, 1)
    trends.add(all.trends, all.minute, 'billed ' .. tool, 1)
  end,
  call = function(all, rest)
    local tool, call, ms = string.match(rest, '^(%S+) %S+ %S+ %S+ (%S+ %S+) (%d+)$')
    read_call(all, tool, call, ms)
  end,
  job = function(all, rest)
    local how, now, tool, created_at, started_at, billed, call, ms =
      string.match(rest, '^(%S+ %S+ %S+ %S+) (%d+) (%S+) (%S+) (%S+) (%S+) (%S+ %S+) (%d+)$')
    local minute = string.format('%d', now / 60000)
    local group = group_of(all.jobs, how .. ' ' .. tool .. ' ' .. billed .. ' ' .. minute, new_jobs)
    if created_at ~= '-' then
      add_time(group.took, now - created_at)
      if started_at ~= '-' then add_time(group.waited, started_at - created_at) end
    end
    read_call(all, tool, call, ms)
  end,
  webhook = function(all, rest)
    local result, lag = string.match(rest, '^(%S+) (%S+)$')
    add_time(group_of(all.tries, result, new_tries).late, lag)
  end,
}

-- Adds the groups to the fields' sums.
local function add_groups(all, named)
  local sum = all.sum
  for labels, group in pairs(all.calls) do
    add(sum, 'vendor_calls ' .. labels, group.number)
    trends.add(all.trends, all.minute, 'calls', group.number)
    add_times(sum, group.took, string.match(labels, '^%S+'))
  end
  for labels, group in pairs(all.jobs) do
    local state, code, lane, tenant, tool, billed, minute =
      string.match(labels, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%d+)$')
    add(sum, 'jobs ' .. tool .. ' ' .. state .. ' ' .. code, group.number)
    add(sum, 'tenant_jobs ' .. (named[tenant] and tenant or '') .. ' ' .. state, group.number)
    trends.add(all.trends, tonumber(minute), code == '-' and state or state .. ' ' .. code, group.number)
    trends.add_usage(all.trends, tonumber(minute), tenant, state, group.number)
    if state == STATE.succeeded and billed == '-' then
      add(sum, 'billed ' .. tool, group.number)
      trends.add(all.trends, tonumber(minute), 'billed ' .. tool, group.number)
    end
    add_times(sum, group.took, tool)
    add_times(sum, group.waited, lane)
  end
  for result, group in pairs(all.tries) do
    add(sum, 'webhook_tries ' .. result, group.number)
    trends.add(all.trends, all.minute, 'webhook ' .. result, group.number)
    add_times(sum, group.late, '-')
  end
end

local function collect()
  local lines = redis.call('LRANGE', keys.observations, 0, -1)
  if not lines[1] then return end
  local all, named = {sum = {}, calls = {}, jobs = {}, tries = {}, trends = trends.new()}, {}
  all.minute = math.floor(clock.now_ms / 60000)
  for _, tenant in ipairs(redis.call('SMEMBERS', keys.metrics_tenants)) do named[tenant] = true end
  for _, line in ipairs(lines) do
    local kind, rest = string.match(line, '^(%l+) (.+)$')
    if READ[kind] then READ[kind](all, rest) end  -- else of a newer version
  end
  add_groups(all, named)
  for field, number in pairs(all.sum) do
    redis.call('HINCRBY', keys.metrics, field, string.format('%.0f', number))
  end
  trends.write(all.trends)
  redis.call('DEL', keys.observations)
end

-- What a function that failed has left is nobody's.
local function begin()
  if observed[1] then observed = {} end
end

-- Returns how much was observed so far in this call.
local function number_observed() return #observed end

-- Drops what was observed after so much: by one of several operations, which failed.
local function drop_after(number)
  for i = #observed, number + 1, -1 do observed[i] = nil end
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
  number_observed = number_observed,
  drop_after = drop_after,
  write = write,
}
