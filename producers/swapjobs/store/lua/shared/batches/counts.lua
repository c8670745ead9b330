-- How many of a batch's jobs are in each state, and how fast they end. Jobs without a batch cost nothing.
local contract = require('contract')
local clock = require('fleet.clock')
local batches = require('batches.batch')
local keys, fleet, STATE, UNFINISHED = contract.keys, contract.fleet, contract.STATE, contract.UNFINISHED

local RATE_ENDS, LONGEST_GAP_MS = 64, 10000  -- the rate is a mean over so many ends; a pause is no gap

-- Notes an end for the batch's rate. Until there were so many it is the mean of all: the first gap alone says little,
-- as the first jobs end together.
local function note_pace(key, last_end, gap, gaps)
  -- the first, or the first after a pause
  if not last_end then return redis.call('HSET', key, 'last_end', clock.now_ms) end
  local since, number = math.max(clock.now - last_end, 0), math.min((gaps or 0) + 1, RATE_ENDS)
  gap = gap and gap + (math.min(since, math.max(10 * gap, LONGEST_GAP_MS)) - gap) / number or since
  redis.call('HSET', key, 'last_end', clock.now_ms, 'gap', string.format('%.3f', gap), 'gaps', number)
end

-- Counts a job that goes from one state to another in its batch.
local function count_transition(job, from, to)
  local name = job.tenant .. ':' .. job.batch
  local key = keys.batch .. name
  local known = redis.call('HMGET', key, 'created_at', 'last_end', 'gap', 'gaps')
  if not known[1] then  -- gone, as this job soon is; paused by nobody, if it is retried
    if fleet.batches_held > 0 then
      fleet.batches_held = fleet.batches_held - redis.call('SREM', keys.held_batches, name)
    end
    return
  end
  if redis.call('HINCRBY', key, from, -1) < 0 then redis.call('HSET', key, from, 0) end
  redis.call('HINCRBY', key, to, 1)
  if from == STATE.failed or to == STATE.failed then
    redis.call('HINCRBY', key, 'code:' .. (job.code or 'internal'), to == STATE.failed and 1 or -1)
  end
  if UNFINISHED[from] and not UNFINISHED[to] then
    if to ~= STATE.cancelled then note_pace(key, known[2], known[3], known[4]) end
    batches.complete_if_done(name)
  elseif not UNFINISHED[from] then
    batches.keep(name)
    if redis.call('HDEL', key, 'completed_at') == 1 then
      redis.call('HINCRBY', key, 'round', 1)
      redis.call('HDEL', key, 'last_end', 'gap', 'gaps')
    end
  end
end

return {
  count_transition = count_transition,
}
