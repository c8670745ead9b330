-- Accept jobs: idempotency check, record, line, refill, in one step. Refused as a whole when Redis is full.
-- ARGV, eight for each job: id, fingerprint, tenant, priority, business id, request (JSON), and
--   `expires_at hook_host batch`, each of them "-" where there is none; until when its URLs work (url_time.lua)
-- Returns for each job: created, existing, conflict, closed (its batch is), or full (Redis is nearly at its memory limit).
local outcomes, added, closed = {}, {}, {}
local function is_closed(tenant, batch)
  local name = tenant .. ':' .. batch
  if closed[name] == nil then closed[name] = open_batch(tenant, batch) or false end
  return closed[name]
end
for i = 1, #ARGV, 8 do
  local id, fingerprint, tenant, priority = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local expires_at, hook_host, batch = string.match(ARGV[i + 6], '^(%S+) (%S+) (%S+)$')
  local known = redis.call('HGET', K.job .. id, 'fingerprint')
  if known then
    outcomes[#outcomes + 1] = known == fingerprint and 'existing' or 'conflict'
  elseif T.full == 1 then
    outcomes[#outcomes + 1] = 'full'
  elseif batch ~= '-' and is_closed(tenant, batch) then
    outcomes[#outcomes + 1] = 'closed'
  else
    redis.call('HSET', K.job .. id, 'state', STATE.queued, 'tenant', tenant, 'priority', priority,
               'business_id', ARGV[i + 4], 'fingerprint', fingerprint, 'created_at', now_ms,
               unpack(batch ~= '-' and {'batch', batch} or {}))
    redis.call('SET', K.history .. id, ARGV[i + 5])
    if expires_at ~= '-' then
      redis.call('HSET', K.job .. id, 'expires_at', expires_at)
      redis.call('ZADD', K.wake, expires_at, 'expiry:' .. id)
    end
    if hook_host ~= '-' then redis.call('HSET', K.job .. id, 'hook', 'none', 'hook_host', hook_host) end
    if batch ~= '-' then
      added[tenant .. ':' .. batch] = (added[tenant .. ':' .. batch] or 0) + 1
    end
    if ARGV[i + 7] ~= '-' then note_urls(id, ARGV[i + 7]) end
    index_job(id, tenant, batch ~= '-' and batch)
    local grave = redis.call('GET', K.tombstone .. id)
    if grave then
      -- the id was used before: the vendor must not take this job for the old one
      redis.call('HSET', K.job .. id, 'generation', tonumber(string.match(grave, '(%d+)$')) + 1)
    end
    stand_in_line(priority, tenant, id, false)
    outcomes[#outcomes + 1] = 'created'
  end
end
for name, number in pairs(added) do
  redis.call('HINCRBY', K.batch .. name, STATE.queued, number)
  keep(name)
end
refill_swaps()
return outcomes
