-- The one write of an attempt: event, patch, history, what happens next, and what it tells of the vendor.
-- ARGV: id, fence, event, history entry or "", schedule kind (retry, poll, final_failure, or "" for the head of its
--   queue), delay in ms, fleet pause in ms, the vendor signal (see vendor/vendor_signal), when the call was made, the
--   next call where the failure is not charged, the call for the metrics (its `tool call result`) or "", how many ms it
--   took, then the patch as field, value pairs
-- Returns ok (also when the same was recorded before); uncharged (an outage: queued again, nothing charged); failed (a
--   final failure that needs no waiting); late (final already, the result was kept); fenced (another claim happened);
--   gone; or the state that refused the event.
local contract = require('contract')
local clock = require('fleet.clock')
local gate = require('fleet.gate')
local counters = require('fleet.counters')
local metrics = require('fleet.metrics')
local failover = require('jobs.failover')
local finish_job = require('jobs.finish')
local jobs = require('jobs.job')
local fair = require('queue.fair')
local refill = require('queue.refill')
local records = require('records.record')
local failure_window = require('vendor.failure_window')
local probes = require('vendor.probes')
local vendor_signal = require('vendor.vendor_signal')
local keys, fleet, MOVES, STATE, TARGET = contract.keys, contract.fleet, contract.MOVES, contract.STATE, contract.TARGET

local function call(args)
  local id, fence, event, entry, wake = args[1], tonumber(args[2]), args[3], args[4], args[5]
  local PATCH = 13
  local function patched(name)
    for i = PATCH, #args, 2 do
      if args[i] == name then return args[i + 1] end
    end
  end
  local job = records.read(id)
  if not job then return 'gone' end
  if tonumber(args[7]) > 0 then gate.pause_until(clock.now + args[7]) end
  if job.claims > fence then
    counters.add('fenced')
    return 'fenced'
  end
  if job.claims < fence then failover.restore_claim(id, job, fence) end
  if not MOVES[event][job.state] then
    local stopped = job.state == STATE.cancelled or job.state == STATE.expired
    if stopped then jobs.end_lease(id, job) end
    -- what a retry begins with: a look-up, unless the outcome is known now
    if stopped and event == 'fail' then records.set(job, 'next_call', patched('next_call')) end
    if not (stopped and event == 'succeed') then
      refill.swaps()
      return job.state == TARGET[event] and 'ok' or job.state  -- ok: told twice
    end
    -- paid for all the same; a retry will ask for it, and get it for nothing
    records.append(job, entry)
    counters.add('late_success')
    metrics.observe_call(args[11], args[12])
    metrics.observe_billed(job)
    records.set(job, 'billed', 1)
    return 'late'
  end
  -- queries with a rate of their own tell nothing of the swaps'
  local began = not (job.next_call == 'query' and fleet.query_interval > 0) and tonumber(args[9]) or nil
  if vendor_signal.record_signal(args[8], id, fence, patched('attempts'), event == 'succeed', began) then
    metrics.observe_call(args[11], args[12])
    jobs.detach(id, job)
    records.set(job, 'next_call', args[10])
    vendor_signal.requeue_uncharged(id, job)
    refill.swaps()
    return 'uncharged'
  end
  if fleet.tripped > 0 then probes.finish(id, args[8] ~= '') end
  local condemned = wake == 'final_failure' and (args[8] == 'answer' or failure_window.vendor_works())
  if condemned then event = 'fail' end
  local state = TARGET[event]
  if #args >= PATCH then records.set(job, unpack(args, PATCH)) end
  if patched('maybe_paid_twice') then counters.add('maybe_paid_twice') end
  if patched('unusable') then
    counters.add('unusable_pictures')
    metrics.observe_billed(job)
    records.set(job, 'billed', 1)
  end
  if event ~= 'wait' then
    if args[11] ~= '' then job.call, job.call_ms = args[11], args[12] end
    finish_job(id, job, state, entry)
    if refill.may_be_skipped() then return condemned and 'failed' or 'ok' end
  else
    metrics.observe_call(args[11], args[12])
    records.append(job, entry)
    jobs.detach(id, job)
    local delay = wake == 'final_failure' and math.max(args[6], failure_window.window_ms()) or args[6]
    if wake == 'poll' and job.called_back then
      -- the vendor has said so before its reply, or this answer, was here
      delay = 0
      records.clear(job, 'called_back')
    end
    local at = math.floor(clock.now + delay)
    jobs.set_state(id, job, state, 'next_attempt_at', at)
    if wake == '' then
      fair.enqueue(job.priority, job.tenant, id, true)
    else
      redis.call('ZADD', keys.schedule, at, wake .. ':' .. id)
    end
  end
  refill.swaps()
  return condemned and 'failed' or 'ok'
end

return {flags = {'allow-oom'}, call = call}
