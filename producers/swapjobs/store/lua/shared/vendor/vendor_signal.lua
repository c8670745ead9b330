-- What calls tell of the vendor, to the breaker and to the rate.
local contract = require('contract')
local records = require('records.record')
local adaptive_rate = require('vendor.adaptive_rate')
local breaker = require('vendor.breaker')
local failure_window = require('vendor.failure_window')
local probes = require('vendor.probes')
local keys, fleet, OUTAGE = contract.keys, contract.fleet, contract.OUTAGE

local REFUSED_MS = 3600000

local function hear_answer(says, began, succeeded)
  failure_window.count_answer()
  if began then adaptive_rate.record(says == 'too_fast', began) end
  if succeeded and fleet.refusals > 0 then
    redis.call('DEL', keys.refused)
    fleet.refusals = 0
  end
end

-- Take in what a call that was made at `began` says of the vendor: answer, too_fast (an answer too), failure (perhaps
-- the job's own), outage (certainly not), the code of a refused account, or nothing (""). `charged`: the failure was,
-- to the job. `began` is nil for a call that is not held to the swaps' rate. Returns whether dispatch is paused and
-- this job's failure goes uncharged.
local function record_signal(says, id, fence, charged, succeeded, began)
  if says == '' then return false end
  local answered = says == 'answer' or says == 'too_fast'
  if answered then hear_answer(says, began, succeeded) end
  -- to a vendor that was down a refused account is an answer too
  local alive = answered or probes.ACCOUNT[says] and fleet.tripped == OUTAGE.vendor_outage
  if alive and fleet.tripped > 0 and redis.call('SISMEMBER', keys.probes, id) == 1 then breaker.reset() end
  if answered then return false end
  local member = failure_window.member_of(id, fence, charged)
  if fleet.tripped == 0 and probes.ACCOUNT[says] then
    failure_window.note(keys.refused, member, REFUSED_MS)
    fleet.refusals = 1
    if failure_window.different_jobs(keys.refused) >= failure_window.DIFFERENT_JOBS then
      breaker.trip(says, keys.refused, member)
    end
  elseif fleet.tripped == 0 then
    failure_window.note(keys.failures, member, fleet.remembered)
    fleet.streak = fleet.streak + 1
    if failure_window.vendor_is_down(says == 'outage') then breaker.trip('vendor_outage', keys.failures, member) end
  end
  return fleet.tripped > 0 and breaker.uncharge(records.read(id), says)
end

-- Where the failure is not charged: the job goes where it waits for the outage's end; what a probe told is used up.
local function requeue_uncharged(id, job)
  records.clear(job, 'failed_lookups', 'failed_lookups_since')
  if probes.finish(id, true) then probes.park(id, job) else probes.requeue(id, job) end
end

return {
  record_signal = record_signal,
  requeue_uncharged = requeue_uncharged,
}
