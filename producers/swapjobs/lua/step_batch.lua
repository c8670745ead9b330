-- Go on with what is being done to a batch.
-- flags: allow-oom
-- ARGV: tenant, batch
-- Returns more, done, or full (nothing can be retried now).
local name = ARGV[1] .. ':' .. ARGV[2]
local more = step_batch(name)
if not more then redis.call('ZREM', K.wake, 'batch:' .. name) end
refill_swaps()
refill_webhooks()
return more and (T.full == 1 and 'full' or 'more') or 'done'
