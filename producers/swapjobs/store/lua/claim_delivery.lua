-- Decide whether a hint leads to a delivery; claimed, leased and fenced like an attempt.
-- flags: allow-oom
-- ARGV: id, lease in ms
-- Returns {'drop'} or {'go', fence, now in ms, history, fields, then of the job that it tells of (none: its own record tells,
--   or no job) history and fields, then the fields of its endpoint, if it has one}.
local id = ARGV[1]
local hook = read_hook(id)
if not hook or not take_hint('webhooks', hook.hook_host, id) then return {'drop'} end
local endpoint = hook.endpoint and endpoint_of(hook.endpoint)
local goes, why = false, hook.endpoint and why_ended(hook.endpoint)
if hook.hook ~= 'pending' then  -- ended meanwhile
elseif why then
  give_up_hook(id, hook, why)
elseif now - tonumber(hook.hook_at or now) > LONGEST_DELIVERY_MS then
  give_up_hook(id, hook, 'the receiver was down for all the time in which it is tried')
elseif endpoint and endpoint.host ~= hook.hook_host then  -- its URL was changed
  redis.call('HSET', hook.key, 'hook_host', endpoint.host)
  stand_in_line('webhooks', endpoint.host, id, true)
else
  goes = true
end
if not goes then
  refill_webhooks()
  return {'drop'}
end
local fence = redis.call('HINCRBY', hook.key, 'hook_claims', 1)
redis.call('HDEL', hook.key, 'hook_next_at')
redis.call('ZADD', K.wake, math.floor(now + ARGV[2]), 'delivery:' .. id)
change_host(hook.hook_host, 'in_flight', 1)
keep_pace('webhooks')
refill_webhooks()
local function record_of(of)
  return redis.call('GET', K.history .. of) or '', redis.call('HGETALL', record_key(of))
end
local history, fields = record_of(id)
local job_history, job_fields = '', {}
if hook.job then job_history, job_fields = record_of(hook.job) end
return {'go', fence, now_ms, history, fields, job_history, job_fields,
        hook.endpoint and redis.call('HGETALL', K.endpoint .. hook.endpoint) or {}}
