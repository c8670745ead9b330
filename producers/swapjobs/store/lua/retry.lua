-- Put finished jobs back in line because their user asks: a new round with new attempts, the old ones kept as history.
-- No allow-oom: what was about to expire is kept again, and makes new work. A full Redis refuses that like new jobs.
-- ARGV: history line as a format for time and round, then ids
-- Returns for each job: ok, the state from which there is no retry, gone, or full (Redis is nearly at its limit).
local SPENT = {'finished_at', 'started_at', 'attempts', 'questions', 'misses', 'missed_since', 'outages', 'outage', 'spared',
               'reason', 'next_attempt_at', 'code', 'unusable'}

-- What the next call tells the vendor. An outcome that was not seen is asked for first, under the id it was sent with;
-- else the vendor must not take the new call for the old one.
local function choose_vendor_id(key, job)
  if job.step ~= 'query' then
    redis.call('HDEL', key, 'step', 'sent_at', 'polls')
    redis.call('HSET', key, 'generation', (job.generation or 1) + 1)
  elseif redis.call('HEXISTS', key, 'polls') == 1 then
    -- the pauses begin anew, but that the vendor knew the task stays known: sending it again might be paid twice
    redis.call('HSET', key, 'polls', math.min(tonumber(redis.call('HGET', key, 'polls')), 1))
  end
end

local function renew_deadline(id, key, job)
  if not job.expires_at then return end
  if tonumber(job.expires_at) > now then
    redis.call('ZADD', K.wake, job.expires_at, 'expiry:' .. id)
  else
    redis.call('HDEL', key, 'expires_at')
  end
end

local answers = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], K.job .. ARGV[i]
  local job = read(id)
  if not job then
    answers[#answers + 1] = 'gone'
  elseif not MOVES.retry[job.state] then
    answers[#answers + 1] = job.state
  elseif T.full == 1 then
    answers[#answers + 1] = 'full'
  else
    local round = (redis.call('HGET', key, 'round') or 1) + 1
    end_lease(id, job)  -- of a call from before it was stopped
    enter(id, job, TARGET.retry, 'round', round)
    -- what the old round still brings is fenced off
    redis.call('HSET', key, 'claims', string.format('%.0f', math.max(job.claims, T.epoch * EPOCH_CLAIMS) + 1))
    redis.call('HDEL', key, unpack(SPENT))
    choose_vendor_id(key, job)
    redis.call('PERSIST', key)
    redis.call('PERSIST', K.history .. id)
    add_to_history(id, string.format(ARGV[1], now_ms, round))
    renew_deadline(id, key, job)
    supersede(id, key)
    stand_in_line(job.priority, job.tenant, id, false)
    answers[#answers + 1] = 'ok'
  end
end
refill_swaps()
refill_webhooks()
return answers
