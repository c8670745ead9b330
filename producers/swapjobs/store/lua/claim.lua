-- Decide whether a hint leads to work, and ask traffic in the same step.
-- flags: allow-oom
-- ARGV: id, lease in ms
-- Returns {'gone'} or {state}: nothing to do here; {'busy'}, {'paused'}, {'held'} or {'outage'}: back at the head of its
--   line; {'aside'}: its batch is stopped; {'go', wait in ms, fence, step, now in ms, history, fields...}: the lease is held, the call is booked.
local id = ARGV[1]
local key, fields = K.job .. id, redis.call('HGETALL', K.job .. id)
local job = as_job(fields)
if not job then return {'gone'} end
if not take_hint(job.priority, job.tenant, id) or not MOVES.start[job.state] then
  return {job.state}  -- final, claimed by another, waiting, or a duplicate hint
end
if job.expires_at and tonumber(job.expires_at) <= now then
  finish(id, job, TARGET.expire)
  refill_swaps()
  return {TARGET.expire}
end
if is_stopped(job.tenant, job.batch) then
  T.sequence = T.sequence + 1
  set_aside(job.tenant, job.batch, id, T.sequence - HEAD)
  refill_swaps()
  return {'aside'}
end
local doubtful = may_be_forgotten(id, job)
local step = doubtful and 'query' or job.step or 'send'
if is_past_its_urls(id, job, step) then
  refill_swaps()
  return {TARGET.fail}
end
local limits = limits_of(job.tenant)
local wait, obstacle = book(step, job, limits)
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
local news = {'step', 'query', 'claims', string.format('%.0f', fence)}
local function set(name, value)
  news[#news + 1], news[#news + 2] = name, value
end
if not job.started_at then set('started_at', now_ms) end
if step == 'send' then set('sent_at', math.floor(now + wait)) end
if doubtful then set('sent_at', believed_sent()) end
local waited = job.state == STATE.waiting
enter(id, job, TARGET.start, unpack(news))
if waited then redis.call('HDEL', key, 'next_attempt_at', 'reason') end
redis.call('ZADD', K.wake, math.floor(now + ARGV[2]), 'lease:' .. id)
if limits then book_tenant(job.tenant, limits, now + wait) end
count_in_flight(job, 1)
if T.tripped > 0 then begin_probe(id) end
keep_pace('swaps')
refill_swaps()
local answer = {'go', tostring(wait), fence, step, now_ms, redis.call('GET', K.history .. id) or ''}
for _, value in ipairs(fields) do answer[#answer + 1] = value end
for i = 5, #news do answer[#answer + 1] = tostring(news[i]) end  -- the worker knows the first two
return answer
