-- Part: batches: how long they are kept, and when they are complete.
-- needs: traffic, announce

local function left_in(key)
  local left = 0
  for _, number in ipairs(redis.call('HMGET', key, unpack(UNFINISHED))) do left = left + (number or 0) end
  return left
end

-- With no unfinished job it is kept as long as their records, and for ever with one: one that nobody closes goes too.
local function keep_for_a_while(name)
  redis.call('PEXPIRE', K.batch .. name, RESULT_TTL_MS)
  redis.call('PEXPIRE', K.index .. name, RESULT_TTL_MS)
  redis.call('ZADD', K.wake, now_ms + RESULT_TTL_MS, 'ended:' .. name)
end

local function keep(name)
  redis.call('PERSIST', K.batch .. name)
  redis.call('PERSIST', K.index .. name)
end

-- Returns whether it takes no more jobs.
local function open_batch(tenant, batch)
  local name = tenant .. ':' .. batch
  local known = redis.call('HMGET', K.batch .. name, 'created_at', 'closed_at')
  if not known[1] then
    if T.stopped > 0 then T.stopped = T.stopped - redis.call('SREM', K.stopped, name) end  -- of one that is gone
    redis.call('HSET', K.batch .. name, 'created_at', now_ms, 'round', 1)
    redis.call('ZADD', K.batches .. tenant, now_ms, batch)
    keep_for_a_while(name)
  end
  return known[2]
end

local function complete(name)
  local key, tenant, batch = K.batch .. name, string.match(name, '^([^:]+):(.+)$')
  redis.call('HSET', key, 'completed_at', now_ms)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  announce(tenant, 'batch.completed', batch, cjson.encode(fields), fields.callback_url or '')
end

-- Called where it is closed, where a job ended, and where nothing is done to it any more: once, since what is completed is
-- so until a retry. Some of those that are retried may end before the rest has its turn: that is still one round.
local function complete_if_done(name)
  if left_in(K.batch .. name) > 0 then return end
  keep_for_a_while(name)
  local known = redis.call('HMGET', K.batch .. name, 'closed_at', 'completed_at', 'doing')
  if known[1] and not known[2] and known[3] ~= 'retry' then complete(name) end
end
