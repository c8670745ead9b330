-- The one write of an attempt: event, patch, history, what happens next, and the traffic it tells us of.
-- include: clock, line, traffic, refill, finish
-- flags: allow-oom
-- ARGV: id, fence, event, history line or "", wake kind (retry, poll, or "" for the head of the line), delay in ms,
--   fleet pause in ms, then the patch as field, value pairs
-- Returns ok (also when the same was told before); late (final already, the result was kept); fenced (another claim
--   happened); gone; or the state that refused the event.
local id, fence, event, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = read(id)
if not job then return 'gone' end
if tonumber(ARGV[7]) > 0 then pause_until(now + ARGV[7]) end
if job.claims ~= fence then return 'fenced' end
if not MOVES[event][job.state] then
  local paid_anyway = event == 'succeed' and (job.state == STATE.cancelled or job.state == STATE.expired)
  if not paid_anyway then return job.state == TARGET[event] and 'ok' or job.state end  -- ok: told twice
  if entry ~= '' then add_to_history(id, entry) end
  redis.call('HINCRBY', K.traffic, 'count:late_success', 1)
  return 'late'
end
local state = TARGET[event]
if #ARGV > 7 then redis.call('HSET', K.job .. id, unpack(ARGV, 8)) end
for i = 8, #ARGV, 2 do
  if ARGV[i] == 'maybe_paid_twice' then redis.call('HINCRBY', K.traffic, 'count:maybe_paid_twice', 1) end
end
if entry ~= '' then add_to_history(id, entry) end
if event == 'succeed' then redis.call('DEL', K.refused) end
if event ~= 'wait' then
  finish(id, job, state)
else
  leave_place(id, job)
  local at = math.floor(now + ARGV[6])
  redis.call('HSET', K.job .. id, 'state', state, 'next_attempt_at', at)
  if ARGV[5] == '' then
    stand_in_line(job.priority, job.tenant, id, true)
  else
    redis.call('ZADD', K.wake, at, ARGV[5] .. ':' .. id)
  end
end
refill_swaps()
return 'ok'
