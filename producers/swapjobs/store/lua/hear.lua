-- Part: what calls tell of the vendor, to the breaker and to the rate.
-- needs: traffic, learn, window, probe, breaker
local REFUSED_MS = 3600000

local function hear_answer(says, began, succeeded)
  count_answer()
  if began then learn(says == 'too_fast', began) end
  if succeeded and T.refusals > 0 then
    redis.call('DEL', K.refused)
    T.refusals = 0
  end
end

-- Take in what a call that was made at `began` says of the vendor: answer, too_fast (an answer too), failure (perhaps the
-- job's own), outage (certainly not), the code of a refused account, or nothing (""). `charged`: the failure was, to the
-- job. `began` is nil for a call that is not held to the swaps' rate. Returns whether the line is closed and this job's
-- failure forgiven.
local function hear(says, id, fence, charged, succeeded, began)
  if says == '' then return false end
  local answered = says == 'answer' or says == 'too_fast'
  if answered then hear_answer(says, began, succeeded) end
  -- to a vendor that was down a refused account is an answer too
  local alive = answered or ACCOUNT[says] and T.tripped == OUTAGE.vendor_outage
  if alive and T.tripped > 0 and redis.call('SISMEMBER', K.probes, id) == 1 then reset() end
  if answered then return false end
  local member = member_of(id, fence, charged)
  if T.tripped == 0 and ACCOUNT[says] then
    note(K.refused, member, REFUSED_MS)
    T.refusals = 1
    if different_jobs(K.refused) >= DIFFERENT_JOBS then trip(says, K.refused, member) end
  elseif T.tripped == 0 then
    note(K.failures, member, T.remembered)
    T.streak = T.streak + 1
    if vendor_is_down(says == 'outage') then trip('vendor_outage', K.failures, member) end
  end
  return T.tripped > 0 and forgive(id, says)
end

-- After `hear` forgave: the job goes where it waits for the outage's end; what a probe told is used up.
local function spare(id, job)
  redis.call('HDEL', K.job .. id, 'misses', 'missed_since')
  if end_probe(id, true) then park(id, job) else wait_in_line(id, job) end
end
