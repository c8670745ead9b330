-- Puts finished jobs back in the queue because their user asks: a new round with new attempts, the old ones kept as
-- history.
local contract = require('contract')
local clock = require('fleet.clock')
local failover = require('jobs.failover')
local jobs = require('jobs.job')
local fair = require('queue.fair')
local refill = require('queue.refill')
local records = require('records.record')
local notifications = require('webhooks.notifications')
local keys, fleet, MOVES, TARGET = contract.keys, contract.fleet, contract.MOVES, contract.TARGET
local RETRY_ENTRY = contract.RETRY_ENTRY  -- a format for time and round

local SPENT = {'ran_ms', 'waited_ms', 'attempts', 'unknown_answers', 'failed_lookups', 'failed_lookups_since',
               'outages', 'outage', 'uncharged', 'reason', 'next_attempt_at', 'code', 'unusable'}

-- What the next call tells the vendor. An outcome that was not seen is asked for first, under the id it was sent with;
-- else the vendor must not take the new call for the old one.
local function choose_vendor_id(job)
  if job.next_call ~= 'query' then
    records.clear(job, 'next_call', 'sent_at', 'polls', 'billed')
    records.set(job, 'generation', (job.generation or 1) + 1)
  elseif job.polls then
    -- the pauses begin anew, but that the vendor knew the task stays known: sending it again might be paid twice
    records.set(job, 'polls', math.min(tonumber(job.polls), 1))
  end
end

local function renew_deadline(id, job)
  if not job.expires_at then return end
  if tonumber(job.expires_at) > clock.now then
    redis.call('ZADD', keys.schedule, job.expires_at, 'expiry:' .. id)
  else
    records.clear(job, 'expires_at')
  end
end

-- Returns for each id: ok, the state from which there is no retry, gone, or full (Redis is nearly at its limit).
local function retry(ids)
  local answers = {}
  for _, id in ipairs(ids) do
    local job = records.read(id)
    if not job then
      answers[#answers + 1] = 'gone'
    elseif not MOVES.retry[job.state] then
      answers[#answers + 1] = job.state
    elseif fleet.memory_full == 1 then
      answers[#answers + 1] = 'full'
    else
      local round = (job.round or 1) + 1
      jobs.end_lease(id, job)  -- of a call from before it was stopped
      jobs.set_state(id, job, TARGET.retry, 'round', round)
      -- what the old round still brings is fenced off
      local claims = math.max(job.claims, fleet.epoch * failover.CLAIMS_PER_EPOCH) + 1
      records.set(job, 'claims', claims)
      records.clear(job, unpack(SPENT))
      choose_vendor_id(job)
      records.expire(job, false)
      if job.continued then redis.call('PERSIST', keys.continuations .. id) end
      records.append(job, string.format(RETRY_ENTRY, clock.now_ms, round))
      renew_deadline(id, job)
      notifications.supersede(id, job)
      fair.enqueue(job.priority, job.tenant, id, false)
      answers[#answers + 1] = 'ok'
    end
  end
  refill.swaps()
  refill.webhooks()
  return answers
end

return retry
