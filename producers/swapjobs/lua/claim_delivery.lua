-- Decide whether a hint leads to a delivery; claimed, leased and fenced like an attempt.
-- flags: allow-oom
-- ARGV: id, lease in ms
-- Returns {'drop'} or {'go', fence, now in ms, history, fields...}.
local id = ARGV[1]
if not take_hint('webhooks', '', id) or redis.call('HGET', K.job .. id, 'hook') ~= 'pending' then
  return {'drop'}
end
local fence = redis.call('HINCRBY', K.job .. id, 'hook_claims', 1)
redis.call('HDEL', K.job .. id, 'hook_next_at')
redis.call('ZADD', K.wake, math.floor(now + ARGV[2]), 'delivery:' .. id)
keep_pace('webhooks')
refill_webhooks()
local answer = {'go', fence, now_ms, redis.call('GET', K.history .. id) or ''}
for _, value in ipairs(redis.call('HGETALL', K.job .. id)) do answer[#answer + 1] = value end
return answer
