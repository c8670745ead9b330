-- What is done to all jobs that fit a filter, some at a time: a hash holds what is meant, and how far it is. An entry
-- in the schedule makes the dispatcher go on; whoever began it may make steps too.
local contract = require('contract')
local clock = require('fleet.clock')
local finish_job = require('jobs.finish')
local job_index = require('jobs.index')
local ended_with = require('operations.error_code')
local forget = require('operations.forget')
local retry = require('operations.retry')
local records = require('records.record')
local keys, fleet, TARGET = contract.keys, contract.fleet, contract.TARGET

local LOOKED_AT = 200
local AT_ONCE = {retry = 25, cancel = 50, forget = 50}  -- jobs that are changed: some ms
local KEPT_MS = 90 * 86400 * 1000

local function each(act)
  return function(ids, found)
    local changed = 0
    for i, id in ipairs(ids) do
      if act(id, found[i]) == 'ok' then changed = changed + 1 end
    end
    return changed
  end
end

-- What is done to jobs; each returns how many it changed.
local DO = {
  cancel = each(function(id, job)
    finish_job(id, job, TARGET.cancel)
    return 'ok'
  end),
  forget = each(forget),
  retry = function(ids)
    local changed = 0
    for _, answer in ipairs(retry(ids)) do
      if answer == 'ok' then changed = changed + 1 end
    end
    return changed
  end,
}

local function read(id)
  local flat, operation = redis.call('HGETALL', keys.operation .. id), {}
  for i = 1, #flat, 2 do operation[flat[i]] = flat[i + 1] end
  return flat[1] and operation
end

local function set_of(text)
  local set = {}
  for name in string.gmatch(text, '[^,]+') do set[name] = true end
  return set
end

local function is_by(job, tool)
  return tool == '' or (job.tool or contract.DEFAULT_TOOL) == tool
end

-- Returns the job of an index entry where it is meant.
local function meant(entry, operation, states)
  local job = records.read(entry[2][2])
  local fits = job and states[job.state] and (operation.code == '' or ended_with(job, operation.code))
      and is_by(job, operation.tool or '')
  return fits and not job_index.is_stale(entry) and job or nil
end

-- The next tenant by name, of all that have jobs.
local function next_tenant(after)
  local nearest
  for _, name in ipairs(redis.call('SMEMBERS', keys.listed_tenants)) do
    if name > after and (not nearest or name < nearest) then nearest = name end
  end
  return nearest
end

local function finish(id)
  redis.call('HSET', keys.operation .. id, 'finished_at', clock.now_ms)
  redis.call('PEXPIRE', keys.operation .. id, KEPT_MS)
  redis.call('ZREM', keys.schedule, 'operation:' .. id)
  return 'done'
end

-- Looks at some entries. Returns where it has come to, how many it looked at, changed and left alone; and whether the
-- index ends there.
local function look_through(operation)
  local of = operation.at .. (operation.batch ~= '' and ':' .. operation.batch or '')
  local from = operation.cursor and '(' .. operation.cursor or operation.from
  local entries = redis.call('XRANGE', keys.index .. of, from, operation['until'], 'COUNT', LOOKED_AT)
  local states, is_real, ids, found = set_of(operation.states), operation.dry == '', {}, {}
  local looked_at, cursor = 0, operation.cursor
  for _, entry in ipairs(entries) do
    looked_at, cursor = looked_at + 1, entry[1]
    local job = meant(entry, operation, states)
    if job then ids[#ids + 1], found[#found + 1] = entry[2][2], job end
    if is_real and #ids == AT_ONCE[operation.kind] then break end
  end
  local changed = is_real and DO[operation.kind](ids, found) or #ids
  return cursor, looked_at, changed, #ids - changed, looked_at == #entries and #entries < LOOKED_AT
end

-- Returns more, done, or full: nothing can be retried now.
local function continue(id)
  local operation = read(id)
  if not operation or operation.finished_at then return 'done' end
  if operation.kind == 'retry' and operation.dry == '' and fleet.memory_full == 1 then return 'full' end
  local key = keys.operation .. id
  local cursor, looked_at, changed, left, is_through = look_through(operation)
  redis.call('HINCRBY', key, 'looked_at', looked_at)
  redis.call('HINCRBY', key, 'changed', changed)
  redis.call('HINCRBY', key, 'left', left)
  if not is_through then
    redis.call('HSET', key, 'cursor', cursor)
    return 'more'
  end
  local tenant = operation.tenant == '' and next_tenant(operation.at)
  if not tenant then return finish(id) end
  redis.call('HSET', key, 'at', tenant)
  redis.call('HDEL', key, 'cursor')
  return 'more'
end

return {
  KEPT_MS = KEPT_MS,
  read = read,
  next_tenant = next_tenant,
  continue = continue,
  finish = finish,
}
