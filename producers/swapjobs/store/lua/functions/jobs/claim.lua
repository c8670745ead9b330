-- Decides whether a message leads to work, and books its call in the same step.
-- ARGV: id, lease in ms
-- Returns {'gone'} or {state}: nothing to do here; {'busy'}, {'rate_limit'}, {'paused_manually'} or {'outage'}:
--   back at the head of its queue; {'batch_held'}: held with its batch; {'go', wait in ms, fence, call, now in ms, its
--   record}: the lease is held, the call is booked.
local contract = require('contract')
local clock = require('fleet.clock')
local failover = require('jobs.failover')
local finish_job = require('jobs.finish')
local jobs = require('jobs.job')
local signed_urls = require('jobs.signed_urls')
local batch_hold = require('queue.batch_hold')
local fair = require('queue.fair')
local rate_limiter = require('queue.rate_limiter')
local ready = require('queue.ready')
local refill = require('queue.refill')
local tenant_limits = require('queue.tenant_limits')
local records = require('records.record')
local probes = require('vendor.probes')
local keys, fleet, MOVES, TARGET, STATE = contract.keys, contract.fleet, contract.MOVES, contract.TARGET, contract.STATE

local function call(args)
  local id = args[1]
  local job = records.read(id)
  if not job then return {'gone'} end
  if not ready.take(job.priority, job.tenant, id) or not MOVES.start[job.state] then
    return {job.state}  -- final, claimed by another, waiting, or a duplicate message
  end
  if job.expires_at and tonumber(job.expires_at) <= clock.now then
    finish_job(id, job, TARGET.expire)
    refill.swaps()
    return {TARGET.expire}
  end
  if batch_hold.is_held(job.tenant, job.batch) then
    fleet.sequence = fleet.sequence + 1
    batch_hold.hold(job.tenant, job.batch, id, fleet.sequence - fair.HEAD)
    refill.swaps()
    return {'batch_held'}
  end
  local doubtful = failover.claim_may_be_lost(job)
  local step = doubtful and 'query' or job.next_call or 'swap'
  if signed_urls.fail_if_expired(id, job, step) then
    refill.swaps()
    return {TARGET.fail}
  end
  local limits = tenant_limits.read(job.tenant)
  local wait, obstacle = rate_limiter.book(step, job, limits)
  if not wait then
    if obstacle == 'outage' then
      probes.requeue(id, job)
    elseif obstacle == 'busy' and step == 'query' and fleet.query_interval > 0 then
      -- Only the queries' own rate is used up: out of the swaps' way until a slot of theirs is near.
      redis.call('ZADD', keys.schedule, math.floor(clock.now + fleet.query_interval), 'poll:' .. id)
      refill.swaps()
    else
      fair.enqueue(job.priority, job.tenant, id, true)
    end
    return {obstacle}
  end
  local fence = math.max(job.claims, fleet.epoch * failover.CLAIMS_PER_EPOCH) + 1
  -- From here on the call may have been made: whoever claims this job next must look it up first, unless this
  -- attempt says otherwise.
  if job.state == STATE.waiting then records.clear(job, 'next_attempt_at', 'reason') end
  jobs.set_state(id, job, TARGET.start, 'next_call', 'query', 'claims', fence)
  jobs.note_start(job)
  if step == 'swap' then records.set(job, 'sent_at', math.floor(clock.now + wait)) end
  if doubtful then records.set(job, 'sent_at', failover.assumed_sent_at()) end
  redis.call('ZADD', keys.schedule, math.floor(clock.now + args[2]), 'lease:' .. id)
  if limits then tenant_limits.book(job.tenant, limits, clock.now + wait) end
  jobs.count_in_flight(job, 1)
  if fleet.tripped > 0 then probes.start(id) end
  ready.note_claim('swaps')
  refill.after_claim()
  return {'go', wait > 0 and tostring(wait) or '0', fence, step, clock.now_ms, records.text_of(job)}
end

return {flags = {'allow-oom'}, call = call}
