-- Decide whether a hint leads to work, and ask traffic in the same step.
-- include: clock, line, traffic, rate, refill, finish, epoch, window, probe, breaker
-- flags: allow-oom
-- ARGV: id, lease in ms
-- Returns {'gone'} or {state}: nothing to do here; {'busy'}, {'paused'}, {'held'} or {'outage'}: back at the head of its
--   line; {'go', wait in ms, fence, step, now in ms, history, fields...}: the lease is held, the call is booked.
local id = ARGV[1]
local job = read(id)
if not job then return {'gone'} end
if redis.call('ZREM', K.hints .. job.priority, id) == 0 or not MOVES.start[job.state] then
  return {job.state}  -- final, claimed by another, waiting, or a duplicate hint
end
if job.expires_at and tonumber(job.expires_at) <= now then
  finish(id, job, TARGET.expire)
  refill_swaps()
  return {TARGET.expire}
end
local doubtful = may_be_forgotten(id, job)
local step = doubtful and 'query' or job.step or 'send'
local wait, obstacle = book(step)
if not wait then
  if obstacle == 'outage' then
    wait_in_line(id, job)
  elseif obstacle == 'busy' and step == 'query' and T.query_interval > 0 then
    -- Only the queries' own rate is used up: out of the swaps' way until a slot of theirs is near.
    redis.call('ZADD', K.wake, math.floor(now + T.query_interval), 'poll:' .. id)
    refill_swaps()
  else
    stand_in_line(job.priority, job.tenant, id, true)
  end
  return {obstacle}
end
local fence = math.max(job.claims, T.epoch * EPOCH_CLAIMS) + 1
-- From here on the call may have been made: whoever claims this job next must look it up first, unless this
-- attempt says otherwise.
redis.call('HSET', K.job .. id, 'state', TARGET.start, 'step', 'query', 'claims', string.format('%.0f', fence))
redis.call('HSETNX', K.job .. id, 'started_at', now_ms)
if step == 'send' then redis.call('HSET', K.job .. id, 'sent_at', math.floor(now + wait)) end
if doubtful then believe_sent(id) end
redis.call('HDEL', K.job .. id, 'next_attempt_at', 'reason')
redis.call('ZADD', K.wake, math.floor(now + ARGV[2]), 'lease:' .. id)
count_in_flight(1)
if T.tripped ~= '' then begin_probe(id) end
keep_pace('swaps')
refill_swaps()
local answer = {'go', tostring(wait), fence, step, now_ms, redis.call('GET', K.history .. id) or ''}
for _, value in ipairs(redis.call('HGETALL', K.job .. id)) do answer[#answer + 1] = value end
return answer
