-- Close, pause, resume, cancel or retry a batch. What takes long is only begun here: see steps.lua.
-- flags: allow-oom
-- ARGV: tenant, batch, what, error code of those to retry or ""
-- Returns ok or gone.
local name, what = ARGV[1] .. ':' .. ARGV[2], ARGV[3]
local key = K.batch .. name
local known = redis.call('HMGET', key, 'created_at', 'doing')
if not known[1] then return 'gone' end
local function begin_to(doing, ...)
  redis.call('HSET', key, 'doing', doing, ...)
  redis.call('ZADD', K.wake, now_ms, 'batch:' .. name)
end
if what == 'close' then
  redis.call('HSETNX', key, 'closed_at', now_ms)
  complete_if_done(name)
elseif what == 'pause' then
  redis.call('HSET', key, 'paused', 1)
  if known[2] == 'resume' then redis.call('HDEL', key, 'doing') end
elseif what == 'resume' then
  redis.call('HDEL', key, 'paused', 'last_end')
  if not known[2] and redis.call('EXISTS', K.set_aside .. name) == 1 then begin_to('resume') end
else
  -- those that are there now; a later one of the two takes the place of the one before
  local last = redis.call('XREVRANGE', K.index .. name, '+', '-', 'COUNT', 1)[1]
  redis.call('HDEL', key, 'cursor')
  if last then begin_to(what, 'code', ARGV[4], 'last', last[1]) end
end
stop_or_start(name)
refill_swaps()
refill_webhooks()
return 'ok'
