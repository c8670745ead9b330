-- What the metrics count (store/metrics.py). It is written down in the step that changes the job, with one command
-- whatever there is to tell, and added up when somebody asks or when much has gathered: so it survives every restart,
-- and nothing is counted twice.
--
-- An observation is three times in ms and a text, its kind and labels, all packed, since this is on every job's way:
-- numbers cost more as text, and what has the same labels is found by one look into a table.
local contract = require('contract')
local clock = require('fleet.clock')
local trends = require('fleet.trends')
local keys, STATE, BUCKETS, DEFAULT_TOOL = contract.keys, contract.STATE, contract.BUCKETS, contract.DEFAULT_TOOL

local TIMES, FORM = '<I5I5I5', '<I5I5I5s'  -- 34 years are as long as a time can be
local END, NOBODYS = '\0', ' -\0'
local AT_ONCE = 65536  -- bytes: some 800 jobs
local MINUTE_MS = 60000
local MOST_BUCKETS = 16  -- of a name in `BUCKETS`
local observed, number_observed = {}, 0
local minute_begins_at, job_of_minute = 0, ''  -- of the last job's end: how its labels begin, made once a minute

local function observe(text)
  number_observed = number_observed + 1
  observed[number_observed] = text
end

local function observe_submitted(tool, number)
  observe(struct.pack(TIMES, 0, 0, 0) .. 'submitted ' .. tool .. ' ' .. number .. NOBODYS)
end

-- Observes a call to the vendor: its `tool call result`, "" where none was made, and how long it took.
local function observe_call(call, ms)
  if call ~= '' then observe(struct.pack(TIMES, ms, 0, 0) .. 'call ' .. call .. NOBODYS) end
end

-- Observes that the vendor did a swap, which it charges for, though the job does not succeed by it (yet).
local function observe_billed(job)
  observe(struct.pack(TIMES, 0, 0, 0) .. 'billed ' .. (job.tool or DEFAULT_TOOL) .. NOBODYS)
end

-- Observes a job's end, and the call that ended it: of that are `job.call` and `job.call_ms`, as for `observe_call`.
local function observe_end(job, state, now)
  local took, waited = now - job.created_at, tonumber(job.waited_ms or 0)
  local code = state == STATE.failed and job.code or '-'
  if now < minute_begins_at or now >= minute_begins_at + MINUTE_MS then
    minute_begins_at, job_of_minute = now - now % MINUTE_MS, string.format('job %d ', now / MINUTE_MS)
  end
  observe(struct.pack(TIMES, took > 0 and took or 0, waited > 0 and waited or 0, job.call_ms or 0)
    .. job_of_minute .. state .. ' ' .. code .. ' ' .. (job.waited_ms and job.priority or '-') .. ' '
    .. (job.billed or '-') .. ' ' .. (job.call or (job.tool or DEFAULT_TOOL) .. ' - -') .. ' ' .. job.tenant .. END)
end

-- Observes a try to deliver a webhook: how it went, and where it was delivered how long that took since the event.
local function observe_webhook(result, lag_ms)
  observe(struct.pack(TIMES, math.max(lag_ms or 0, 0), 0, 0) .. 'webhook ' .. result
    .. (lag_ms and ' late' or ' -') .. NOBODYS)
end

local function add(sum, field, number)
  sum[field] = (sum[field] or 0) + number
end

-- Returns the times of a name, one of `BUCKETS`, and a label: how many are in each bucket, and their sum.
local function times_of(all, name, label)
  local times = all.times[name][label]
  if not times then
    times = {bounds = {}, sum = 0, buckets = {}}
    for bucket = 1, MOST_BUCKETS do
      times.bounds[bucket], times.buckets[bucket] = BUCKETS[name][bucket] or math.huge, 0
    end
    all.times[name][label] = times
  end
  return times
end

-- Adds a time to its bucket, the first that has it within its bound: one of sixteen is found by four looks.
local function add_time(times, ms)
  local bounds, buckets, bucket = times.bounds, times.buckets, 1
  if ms > bounds[8] then bucket = 9 end
  if ms > bounds[bucket + 3] then bucket = bucket + 4 end
  if ms > bounds[bucket + 1] then bucket = bucket + 2 end
  if ms > bounds[bucket] then bucket = bucket + 1 end
  buckets[bucket] = buckets[bucket] + 1
  times.sum = times.sum + ms
end

local function add_calls(all, tool, call, number)
  add(all.sum, 'vendor_calls ' .. tool .. ' ' .. call, number)
  trends.add(all.trends, all.minute, 'calls', number)
end

-- For each kind: returns what counts so many observations of these labels, what their times are added to, and what
-- counts those of one tenant.
local KINDS = {
  submitted = function(all, labels)
    local tool, jobs = string.match(labels, '^(%S+) (%d+)$')
    return function(number)
      add(all.sum, 'submitted ' .. tool, number * jobs)
      trends.add(all.trends, all.minute, 'submitted', number * jobs)
    end
  end,
  billed = function(all, tool)
    return function(number)
      add(all.sum, 'billed ' .. tool, number)
      trends.add(all.trends, all.minute, 'billed ' .. tool, number)
    end
  end,
  call = function(all, labels)
    local tool, call = string.match(labels, '^(%S+) (%S+ %S+)$')
    return function(number) add_calls(all, tool, call, number) end, {times_of(all, 'vendor_call', tool)}
  end,
  job = function(all, labels)
    local minute_text, state, code, lane, billed, tool, call =
      string.match(labels, '^(%d+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+ %S+)$')
    local ended_in = tonumber(minute_text)
    local usage = trends.usage_of(all.trends, ended_in)
    local began, called = lane ~= '-', call ~= '- -'
    local times = {
      times_of(all, 'job', tool), began and times_of(all, 'queue_wait', lane),
      called and times_of(all, 'vendor_call', tool),
    }
    return function(number)
      add(all.sum, 'jobs ' .. tool .. ' ' .. state .. ' ' .. code, number)
      trends.add(all.trends, ended_in, code == '-' and state or state .. ' ' .. code, number)
      if state == STATE.succeeded and billed == '-' then
        add(all.sum, 'billed ' .. tool, number)
        trends.add(all.trends, ended_in, 'billed ' .. tool, number)
      end
      if called then add_calls(all, tool, call, number) end
    end, times, function(tenant, number)
      add(all.sum, 'tenant_jobs ' .. (all.named[tenant] and tenant or '') .. ' ' .. state, number)
      add(usage, tenant .. ' ' .. state, number)
    end
  end,
  webhook = function(all, labels)
    local result, lag = string.match(labels, '^(%S+) (%S+)$')
    return function(number)
      add(all.sum, 'webhook_tries ' .. result, number)
      trends.add(all.trends, all.minute, 'webhook ' .. result, number)
    end, {lag == 'late' and times_of(all, 'webhook_lag', '-')}
  end,
}

local function new_group(all, text)
  local kind, labels = string.match(text, '^(%l+) (.+)$')
  local group, times = {number = 0}, nil
  if KINDS[kind] then group.count, times, group.count_tenant = KINDS[kind](all, labels) end  -- else of a newer version
  if times then group.first, group.second, group.third = unpack(times, 1, 3) end
  return group
end

-- Returns a new part of a group: what is one tenant's, or nobody's.
local function new_part(all, text)
  local shared, tenant = string.match(text, '^(.+) (%S+)$')
  local group = all.groups[shared]
  if not group then
    group = new_group(all, shared)
    all.groups[shared] = group
  end
  return {number = 0, group = group, tenant = tenant}
end

-- Adds the observations up: their times, and how many there are of each part.
local function read(all, text)
  local parts, place, unpack_one = {}, 1, struct.unpack
  while place <= #text do
    local first, second, third, labels
    first, second, third, labels, place = unpack_one(FORM, text, place)
    local part = parts[labels]
    if not part then
      part = new_part(all, labels)
      parts[labels] = part
    end
    part.number = part.number + 1
    local group = part.group
    if group.first then add_time(group.first, first) end
    if group.second then add_time(group.second, second) end
    if group.third then add_time(group.third, third) end
  end
  return parts
end

local function add_all(all, parts)
  for _, part in pairs(parts) do
    local group = part.group
    group.number = group.number + part.number
    if group.count_tenant then group.count_tenant(part.tenant, part.number) end
  end
  for _, group in pairs(all.groups) do
    if group.count then group.count(group.number) end
  end
end

local function add_all_times(all)
  for name, labels in pairs(all.times) do
    for label, times in pairs(labels) do
      for bucket, number in pairs(times.buckets) do
        if number > 0 then add(all.sum, name .. '_bucket ' .. label .. ' ' .. bucket, number) end
      end
      add(all.sum, name .. '_ms ' .. label, times.sum)
    end
  end
end

local function collect()
  local text = redis.call('GET', keys.observed)
  if not text then return end
  local all = {sum = {}, groups = {}, times = {}, named = {}, trends = trends.new()}
  all.minute = math.floor(clock.now_ms / MINUTE_MS)
  for name in pairs(BUCKETS) do all.times[name] = {} end
  for _, tenant in ipairs(redis.call('SMEMBERS', keys.metrics_tenants)) do all.named[tenant] = true end
  add_all(all, read(all, text))
  add_all_times(all)
  for field, number in pairs(all.sum) do
    redis.call('HINCRBY', keys.metrics, field, string.format('%.0f', number))
  end
  trends.write(all.trends)
  redis.call('DEL', keys.observed)
end

-- Returns how much was observed so far in this call.
local function observed_so_far()
  return number_observed
end

-- Begins after what was observed so far, or with nothing: what one has left that failed is nobody's.
local function begin(so_far)
  number_observed = so_far or 0
end

local function write()
  if number_observed == 0 then return end
  local text = observed[1]
  if number_observed > 1 then
    text = table.concat(observed, '', 1, number_observed)
    observed = {}
  end
  if redis.call('APPEND', keys.observed, text) >= AT_ONCE then collect() end
  number_observed = 0
end

return {
  observe_submitted = observe_submitted,
  observe_call = observe_call,
  observe_billed = observe_billed,
  observe_end = observe_end,
  observe_webhook = observe_webhook,
  collect = collect,
  observed_so_far = observed_so_far,
  begin = begin,
  write = write,
}
