-- The dispatcher's step: handle what is due, publish lost hints again, refill. One worker at a time does it.
-- flags: allow-oom
-- ARGV: worker, lease in ms (the grace after a gap), how many members at most, whether this worker dispatched or tried to
--   before (stayed, or new)
-- Returns {members handled, ms until the next look}; {-1, 0} where another worker's dispatcher is at work.
local LEADER_MS, GAP_MS, JUMP_MS, STALE_HINT_MS, TICK_MS = 2000, 5000, 1000, 5000, 250
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
  delivery = function(id, job)
    if job.hook == 'pending' then stand_in_line('webhooks', job.hook_host, id, true) end
  end,
  lease = function(id, job)
    if now < grace_until then return redis.call('ZADD', K.wake, grace_until, 'lease:' .. id) end
    count_in_flight(job, -1)
    if not MOVES.rescue[job.state] then return end  -- stopped while its call was under way
    count('rescued')
    redis.call('HSET', K.job .. id, 'state', TARGET.rescue)
    stand_in_line(job.priority, job.tenant, id, true)
  end,
}
local due = redis.call('ZRANGE', K.wake, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  local kind, id = string.match(member, '^(%l+):(.+)$')
  redis.call('ZREM', K.wake, member)
  local job = kind ~= 'turn' and read(id)
  if kind == 'turn' then
    return_turn(id)
  elseif not handle[kind] then
    redis.call('ZADD', K.wake, now_ms + 60000, member)  -- of a newer version: its workers will look at it
  elseif job then
    handle[kind](id, job)
  elseif kind == 'lease' then
    count_in_flight({}, -1)  -- its record has expired, its place in the count has not
  end
end

-- A hint that is neither claimed nor on the runway after a few seconds was lost between the pop and the claim.
for lane, runway in pairs(RUNWAY) do
  local old = redis.call('ZRANGE', K.hints .. lane, '-inf', now_ms - STALE_HINT_MS, 'BYSCORE', 'LIMIT', 0, ARGV[3])
  if #old > 0 then
    local waiting = table.concat(redis.call('LRANGE', runway, -2 * MOST, -1))
    for _, id in ipairs(old) do
      if redis.call('EXISTS', K.job .. id) == 0 then
        redis.call('ZREM', K.hints .. lane, id)  -- else it would hold a place of the lane for ever
      elseif not string.find(waiting, id, 1, true) then
        send_hints(lane, {id})
      end
    end
  end
end
refill_swaps()
refill_webhooks()
local nearest = redis.call('ZRANGE', K.wake, 0, 0, 'WITHSCORES')[2]
local pause = #due >= tonumber(ARGV[3]) and 0 or math.min(nearest and math.max(nearest - now, 1) or TICK_MS, TICK_MS)
return {#due, math.ceil(pause)}
