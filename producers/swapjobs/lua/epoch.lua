-- Part: what a restarted Redis may have forgotten.
-- needs: clock, traffic, finish

-- The claims of an epoch (a server process, see meet.lua) are numbered from a height of their own.
local EPOCH_CLAIMS = 1000000

-- Whether this job may have been sent in the time that a restarted Redis has forgotten.
local function may_be_forgotten(id, job)
  return T.doubts > 0 and (job.step or 'send') == 'send' and job.claims < T.epoch * EPOCH_CLAIMS
      and tonumber(redis.call('HGET', K.job .. id, 'created_at')) < T.epoch_at
end

-- If it was, then at the latest when the new server was met.
local function believe_sent(id)
  redis.call('HSETNX', K.job .. id, 'sent_at', T.epoch_at)
  redis.call('HINCRBY', K.traffic, 'doubts', -1)
end

-- A restarted Redis may have forgotten a claim: its fence is above the record's. The attempt is taken as what it is.
local function remember(id, job, fence)
  if not (MOVES.start[job.state] or MOVES.rescue[job.state]) then return end
  leave_place(id, job)
  count_in_flight(1)
  redis.call('HSET', K.job .. id, 'state', TARGET.start, 'claims', fence, 'step', 'query')
  job.state, job.claims = TARGET.start, fence
end
