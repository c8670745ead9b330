-- What a restarted Redis may have forgotten.
local contract = require('contract')
local clock = require('fleet.clock')
local jobs = require('jobs.job')
local keys, fleet, MOVES, TARGET = contract.keys, contract.fleet, contract.MOVES, contract.TARGET

-- The claims of an epoch (a server process, see check_server.lua) are numbered from a height of their own.
local CLAIMS_PER_EPOCH = 1000000

-- Whether this job may have been sent in the time that Redis has forgotten: a restarted one seconds, and not where its
-- turn came later; one that was restored from a backup much more (functions/fleet/note_restore).
local function claim_may_be_lost(job)
  if fleet.unverified <= 0 and fleet.restored_until == 0 or (job.next_call or 'swap') ~= 'swap'
      or job.claims >= fleet.epoch * CLAIMS_PER_EPOCH then
    return false
  end
  local created_at = tonumber(job.created_at)
  if created_at < fleet.restored_until then return true end
  return fleet.unverified > 0 and created_at < fleet.epoch_at
    and tonumber(job.next_attempt_at or 0) <= fleet.known_until
end

-- If it was, then at the latest when the new server was met.
local function assumed_sent_at()
  fleet.unverified = math.max(fleet.unverified - 1, 0)
  return fleet.epoch_at
end

-- Begins an epoch: fences are above all that can have been given out. By the time and not counted on, since a server
-- that was restored twice to the same moment would count to the same number.
local function begin_epoch()
  fleet.epoch = math.max(fleet.epoch + 1, math.floor(clock.now / 1000))
  fleet.epoch_at = clock.now_ms
end

-- A restarted Redis may have forgotten a claim: its fence is above the record's. The attempt is taken as what it is.
local function restore_claim(id, job, fence)
  if not (MOVES.start[job.state] or MOVES.rescue[job.state]) then return end
  jobs.detach(id, job)
  jobs.count_in_flight(job, 1)
  redis.call('ZADD', keys.schedule, clock.now_ms, 'lease:' .. id)  -- the caller renews it, or ends it
  jobs.note_start(job)
  jobs.set_state(id, job, TARGET.start, 'claims', fence, 'next_call', 'query',
        'sent_at', clock.now_ms)  -- forgotten as well; without it a look-up could never say that the task is unknown
end

return {
  CLAIMS_PER_EPOCH = CLAIMS_PER_EPOCH,
  claim_may_be_lost = claim_may_be_lost,
  assumed_sent_at = assumed_sent_at,
  begin_epoch = begin_epoch,
  restore_claim = restore_claim,
}
