-- The dispatcher's step: handle what is due, publish lost hints again, refill. One worker at a time does it.
-- flags: allow-oom
-- ARGV: worker, lease in ms (the grace after a gap), how many members at most, whether this worker dispatched or tried to
--   before (stayed, or new)
-- Returns {members handled, ms until the next look}; {-1, 0} where another worker's dispatcher is at work.
local LEADER_MS, GAP_MS, JUMP_MS, TICK_MS = 2000, 5000, 1000, 250
local leader = redis.call('GET', K.dispatcher)
local last = T.dispatched_at > 0 and T.dispatched_at or now
-- by the time as well: where the clock was put back, the key would outlive its holder for as long
if leader and leader ~= ARGV[1] and now >= last and now - last < LEADER_MS then return {-1, 0} end
redis.call('SET', K.dispatcher, ARGV[1], 'PX', LEADER_MS)
T.dispatched_at = now_ms

-- After a gap in which workers could not renew (Redis was down or frozen, the clock moved) every lease gets one more. A
-- gap in which there was no worker at all needs none: who comes new to a server that ran through it sees that.
local gap = now - last > math.min(GAP_MS, ARGV[2] / 2) and (ARGV[4] == 'stayed' or T.epoch_at > last)
if gap or last - now > JUMP_MS then T.grace_until = math.floor(now + ARGV[2]) end
local grace_until = math.min(T.grace_until, now + ARGV[2])

if last - now > JUMP_MS then move_times(now - last) end

if math.floor(now_ms / 1000) ~= math.floor(last / 1000) then look_at_memory() end

local function back_in_line(id, job)
  if MOVES.start[job.state] then stand_in_line(job.priority, job.tenant, id, true) end
end
local handle = {
  retry = back_in_line,
  poll = back_in_line,
  -- its last failure was no outage's: see apply.lua
  verdict = function(id, job) if MOVES.start[job.state] then finish(id, job, TARGET.fail) end end,
  expiry = function(id, job) if MOVES.expire[job.state] then finish(id, job, TARGET.expire) end end,
  lease = function(id, job)
    if now < grace_until then return redis.call('ZADD', K.wake, grace_until, 'lease:' .. id) end
    count_in_flight(job, -1)
    if not MOVES.rescue[job.state] then return end  -- stopped while its call was under way
    count('rescued')
    enter(id, job, TARGET.rescue)
    stand_in_line(job.priority, job.tenant, id, true)
  end,
}
-- Those of no single job. What may be long goes on with the next look.
local of_many = {turn = return_turn, host = return_host, delivery = wake_delivery, undeliver = undeliver, ended = forget_batch}
local long = {
  prune = prune,
  batch = function(name)
    local told = step_batch(name)
    if told ~= 'done' then redis.call('ZADD', K.wake, now_ms + (told == 'full' and 1000 or 0), 'batch:' .. name) end
  end,
}
local may_be_long = 2
local due = redis.call('ZRANGE', K.wake, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  local kind, id = string.match(member, '^(%l+):(.+)$')
  redis.call('ZREM', K.wake, member)
  local job = handle[kind] and read(id)
  if of_many[kind] then
    of_many[kind](id)
  elseif long[kind] and may_be_long > 0 then
    may_be_long = may_be_long - 1
    long[kind](id)
  elseif long[kind] then
    redis.call('ZADD', K.wake, now_ms, member)
  elseif not handle[kind] then
    redis.call('ZADD', K.wake, now_ms + 60000, member)  -- of a newer version: its workers will look at it
  elseif job then
    handle[kind](id, job)
  elseif kind == 'lease' then
    count_in_flight({}, -1)  -- its record has expired, its place in the count has not
  end
end

send_lost_hints(ARGV[3])
refill_swaps()
refill_webhooks()
local nearest = redis.call('ZRANGE', K.wake, 0, 0, 'WITHSCORES')[2]
local pause = (#due >= tonumber(ARGV[3]) or may_set_aside <= 0) and 0 or math.min(nearest and math.max(nearest - now, 1) or TICK_MS, TICK_MS)
return {#due, math.ceil(pause)}
