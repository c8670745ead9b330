-- Indexes of jobs by the time of their creation: a stream for each tenant and one for each batch. An entry's id is
-- the time; a stream takes a third of a sorted set's bytes. Entries of jobs that are gone are pruned some at a time.
local contract = require('contract')
local clock = require('fleet.clock')
local records = require('records.record')
local keys, fleet = contract.keys, contract.fleet

local PRUNED_AT_ONCE = 200

-- Returns the entry's id. `of`: a tenant, or `tenant:batch`.
local function add_to_index(of, at, id)
  local key = keys.index .. of
  local entry = redis.pcall('XADD', key, 'NOMKSTREAM', at, 'j', id)
  -- the clock was put back: after the last
  if type(entry) == 'table' then return redis.call('XADD', key, '*', 'j', id) end
  if not entry then
    entry = redis.call('XADD', key, at, 'j', id)
    redis.call('ZADD', keys.schedule, clock.now_ms + fleet.result_ttl_ms, 'prune:' .. of)
    if not string.find(of, ':', 1, true) then redis.call('SADD', keys.listed_tenants, of) end
  end
  return entry
end

-- Into the tenant's and the batch's. Both get the same id; the record keeps its time where that isn't created_at, so
-- that an entry of the job that had this business id before can be told from this one.
local function add(job, batch)
  local id, tenant = job.id, job.tenant
  local entry = add_to_index(tenant, clock.now_ms .. '-*', id)
  local at = string.match(entry, '^%d+')
  if tonumber(at) ~= clock.now_ms then records.set(job, 'listed_at', at) end
  if batch then add_to_index(tenant .. ':' .. batch, entry, id) end
end

-- Says whether an entry's job is gone; the next one that has its id is not meant.
local function is_stale(entry)
  local job = records.read(entry[2][2])
  return not job or tostring(job.listed_at or job.created_at) ~= string.match(entry[1], '^%d+')
end

-- One step; the next one is put into the schedule. Only what is older than records are kept can be gone. A pass begins
-- at the oldest and goes over what still lives, which may be many: hence the cursor.
local function prune(of)
  local key, from = keys.index .. of, redis.call('HGET', keys.pruning, of)
  local until_ms = clock.now_ms - fleet.result_ttl_ms
  local entries, gone = redis.call('XRANGE', key, from and '(' .. from or '-', until_ms, 'COUNT', PRUNED_AT_ONCE), {}
  for _, entry in ipairs(entries) do
    if is_stale(entry) then gone[#gone + 1] = entry[1] end
  end
  if #gone > 0 then redis.call('XDEL', key, unpack(gone)) end
  if #entries == PRUNED_AT_ONCE then
    redis.call('HSET', keys.pruning, of, entries[#entries][1])
    return redis.call('ZADD', keys.schedule, clock.now_ms, 'prune:' .. of)
  end
  if from then redis.call('HDEL', keys.pruning, of) end
  if redis.call('XLEN', key) == 0 then
    redis.call('SREM', keys.listed_tenants, of)
    return redis.call('DEL', key)
  end
  local next_one = redis.call('XRANGE', key, until_ms + 1, '+', 'COUNT', 1)[1]
  local pause = math.min(math.max(fleet.result_ttl_ms / 100, 1000), 3600000)
  local due = next_one and string.match(next_one[1], '^%d+') + fleet.result_ttl_ms or 0
  redis.call('ZADD', keys.schedule, math.floor(math.max(due, clock.now_ms + pause)), 'prune:' .. of)
end

return {
  add = add,
  is_stale = is_stale,
  prune = prune,
}
