-- Write down one try of a delivery, and what follows: nothing, or another try later.
-- flags: allow-oom
-- ARGV: id, fence, new state (delivered, undelivered or pending), delay in ms, HTTP status or "", history line
-- Returns ok, fenced or gone.
local id, state, key = ARGV[1], ARGV[3], K.job .. ARGV[1]
local hook = redis.call('HMGET', key, 'hook', 'hook_claims', 'hook_host')
if not hook[1] then return 'gone' end
if hook[1] ~= 'pending' or hook[2] ~= ARGV[2] then return 'fenced' end
redis.call('HINCRBY', key, 'hook_claims', 1)  -- this claim is used up: the same answer sent twice counts once
redis.call('HINCRBY', key, 'hook_tries', 1)
redis.call('HSET', key, 'hook', state, 'hook_status', ARGV[5])
add_to_history(id, ARGV[6])
leave_hook_place(id, hook[3])
if state == 'pending' then
  local at = math.floor(now + ARGV[4])
  redis.call('HSET', key, 'hook_next_at', at)
  redis.call('ZADD', K.wake, at, 'delivery:' .. id)
else
  expire(id)
end
refill_webhooks()
return 'ok'
