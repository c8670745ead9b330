-- The one write of an attempt: event, patch, history, what happens next, and what it tells of the vendor.
-- flags: allow-oom
-- ARGV: id, fence, event, history line or "", wake kind (retry, poll, verdict, or "" for the head of the line), delay in
--   ms, fleet pause in ms, what the call says of the vendor (see `hear`), when it was made, the next step where the
--   failure is forgiven, then the patch as field, value pairs
-- Returns ok (also when the same was told before); spared (an outage: back in line, nothing charged); failed (a verdict
--   that needs no waiting); late (final already, the result was kept); fenced (another claim happened); gone; or the
--   state that refused the event.
local id, fence, event, entry, wake = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local PATCH = 11
local function patched(name)
  for i = PATCH, #ARGV, 2 do
    if ARGV[i] == name then return ARGV[i + 1] end
  end
end
local job = read(id)
if not job then return 'gone' end
if tonumber(ARGV[7]) > 0 then pause_until(now + ARGV[7]) end
if job.claims > fence then
  count('fenced')
  return 'fenced'
end
if job.claims < fence then remember(id, job, fence) end
if not MOVES[event][job.state] then
  local stopped = job.state == STATE.cancelled or job.state == STATE.expired
  if stopped then end_lease(id, job) end
  -- what a retry begins with: a look-up, unless the outcome is known now
  if stopped and event == 'fail' then redis.call('HSET', K.job .. id, 'step', patched('step')) end
  if not (stopped and event == 'succeed') then
    refill_swaps()
    return job.state == TARGET[event] and 'ok' or job.state  -- ok: told twice
  end
  -- paid for all the same; a retry will ask for it, and get it for nothing
  add_to_history(id, entry)
  count('late_success')
  return 'late'
end
-- queries with a rate of their own tell nothing of the swaps'
local began = not (job.step == 'query' and T.query_interval > 0) and tonumber(ARGV[9]) or nil
if hear(ARGV[8], id, fence, patched('attempts'), event == 'succeed', began) then
  leave_place(id, job)
  redis.call('HSET', K.job .. id, 'step', ARGV[10])
  spare(id, job)
  refill_swaps()
  return 'spared'
end
if T.tripped > 0 then end_probe(id, ARGV[8] ~= '') end
local condemned = wake == 'verdict' and (ARGV[8] == 'answer' or vendor_works())
if condemned then event = 'fail' end
local state = TARGET[event]
if #ARGV >= PATCH then redis.call('HSET', K.job .. id, unpack(ARGV, PATCH)) end
if patched('maybe_paid_twice') then count('maybe_paid_twice') end
if patched('unusable') then count('unusable_pictures') end
if event ~= 'wait' then
  finish(id, job, state, entry)
  if may_go_on_without_refill() then return condemned and 'failed' or 'ok' end
else
  add_to_history(id, entry)
  leave_place(id, job)
  local at = math.floor(now + (wake == 'verdict' and math.max(ARGV[6], window_ms()) or ARGV[6]))
  enter(id, job, state, 'next_attempt_at', at)
  if wake == '' then
    stand_in_line(job.priority, job.tenant, id, true)
  else
    redis.call('ZADD', K.wake, at, wake .. ':' .. id)
  end
end
refill_swaps()
return condemned and 'failed' or 'ok'
