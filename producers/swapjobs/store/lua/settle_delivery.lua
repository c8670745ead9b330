-- Write down one try of a delivery, and what follows: nothing, or another try later.
-- flags: allow-oom
-- ARGV: id, fence, new state (delivered, undelivered or pending), delay in ms, HTTP status or "", history line, what it says
--   of the host (up, down or ""), how long it took in ms, why its endpoint wants no more or ""
-- Returns ok, too_late (the next try would be past all that it may take: undelivered), disabled (its endpoint was, by
--   this), fenced or gone.
local id, state, hook = ARGV[1], ARGV[3], read_hook(ARGV[1])
if not hook then return 'gone' end
if hook.hook ~= 'pending' or hook.hook_claims ~= ARGV[2] then return 'fenced' end
redis.call('HINCRBY', hook.key, 'hook_claims', 1)  -- this claim is used up: the same answer sent twice counts once
redis.call('HINCRBY', hook.key, 'hook_tries', 1)
redis.call('HSET', hook.key, 'hook_status', ARGV[5])
leave_hook_place(id, hook)
hear_host(hook.hook_host, ARGV[7], tonumber(ARGV[8]))
local at = math.floor(now + ARGV[4])
local too_late = state == 'pending' and at - tonumber(hook.hook_at or now) > LONGEST_DELIVERY_MS
if too_late then state = 'undelivered' end
if state == 'pending' then
  add_to_history(id, ARGV[6])
  redis.call('HSET', hook.key, 'hook_next_at', at)
  redis.call('ZADD', K.wake, at, 'delivery:' .. id)
else
  end_hook(id, hook, state, ARGV[6])
end
local disabled = hook.endpoint and judge_endpoint(hook.endpoint, state == 'delivered', ARGV[9])
refill_webhooks()
return disabled and 'disabled' or too_late and 'too_late' or 'ok'
