-- Part: what a restarted Redis may have forgotten.
-- needs: traffic, place

-- The claims of an epoch (a server process, see meet.lua) are numbered from a height of their own.
local EPOCH_CLAIMS = 1000000

-- Whether this job may have been sent in the time that a restarted Redis has forgotten: not if its turn came later.
local function may_be_forgotten(id, job)
  if T.doubts <= 0 or (job.step or 'send') ~= 'send' or job.claims >= T.epoch * EPOCH_CLAIMS then return false end
  local times = redis.call('HMGET', K.job .. id, 'created_at', 'next_attempt_at')
  return tonumber(times[1]) < T.epoch_at and (tonumber(times[2] or nil) or 0) <= T.known_until
end

-- If it was, then at the latest when the new server was met.
local function believed_sent()
  T.doubts = T.doubts - 1
  return T.epoch_at
end

-- A restarted Redis may have forgotten a claim: its fence is above the record's. The attempt is taken as what it is.
local function remember(id, job, fence)
  if not (MOVES.start[job.state] or MOVES.rescue[job.state]) then return end
  leave_place(id, job)
  count_in_flight(job, 1)
  redis.call('ZADD', K.wake, now_ms, 'lease:' .. id)  -- the caller renews it, or ends it
  enter(id, job, TARGET.start, 'claims', string.format('%.0f', fence), 'step', 'query',
        'sent_at', now_ms)  -- forgotten as well; without it a look-up could never say that the task is unknown
  job.claims = fence
end
