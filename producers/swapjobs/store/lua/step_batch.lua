-- Go on with what is being done to a batch.
-- flags: allow-oom
-- ARGV: tenant, batch
-- Returns more, done, or full (nothing can be retried now).
local name = ARGV[1] .. ':' .. ARGV[2]
local told = step_batch(name)
if told == 'done' then redis.call('ZREM', K.wake, 'batch:' .. name) end
refill_swaps()
refill_webhooks()
return told
