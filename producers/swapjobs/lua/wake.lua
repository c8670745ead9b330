-- The dispatcher's step: handle what is due, publish lost hints again, refill. One worker at a time does it.
-- include: clock, line, traffic, refill, finish
-- flags: allow-oom
-- ARGV: worker, lease in ms (the grace after a gap), how many members at most
-- Returns {members handled, ms until the next look}; {-1, ms} where another worker's dispatcher is at work.
local LEADER_MS, GAP_MS, STALE_HINT_MS, TICK_MS = 2000, 5000, 5000, 250
local leader = redis.call('GET', K.dispatcher)
if leader and leader ~= ARGV[1] then return {-1, redis.call('PTTL', K.dispatcher)} end
redis.call('SET', K.dispatcher, ARGV[1], 'PX', LEADER_MS)

-- After a gap (Redis was down, nobody dispatched, the clock moved) no worker could renew: every lease gets one more.
local last = tonumber(redis.call('HGET', K.traffic, 'dispatched_at') or nil) or now
if now - last > GAP_MS or now < last then redis.call('HSET', K.traffic, 'grace_until', math.floor(now + ARGV[2])) end
redis.call('HSET', K.traffic, 'dispatched_at', now_ms)
local grace_until = math.min(tonumber(redis.call('HGET', K.traffic, 'grace_until') or nil) or 0, now + ARGV[2])

local function back_in_line(id, job)
  if MOVES.start[job.state] then stand_in_line(job.priority, job.tenant, id, true) end
end
local handle = {
  retry = back_in_line,
  poll = back_in_line,
  expiry = function(id, job) if MOVES.expire[job.state] then finish(id, job, TARGET.expire) end end,
  delivery = function(id, job)
    if job.hook == 'pending' then stand_in_line('webhooks', job.hook_host, id, true) end
  end,
  lease = function(id, job)
    if now < grace_until then return redis.call('ZADD', K.wake, grace_until, 'lease:' .. id) end
    if not MOVES.rescue[job.state] then return end
    count_in_flight(-1)
    redis.call('HINCRBY', K.traffic, 'count:rescued', 1)
    redis.call('HSET', K.job .. id, 'state', TARGET.rescue)
    stand_in_line(job.priority, job.tenant, id, true)
  end,
}
local due = redis.call('ZRANGE', K.wake, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  local kind, id = string.match(member, '^(%l+):(.+)$')
  redis.call('ZREM', K.wake, member)
  local job = read(id)
  if job then handle[kind](id, job) end
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
        send_hint(lane, id)
      end
    end
  end
end
refill_swaps()
refill_webhooks()
local nearest = redis.call('ZRANGE', K.wake, 0, 0, 'WITHSCORES')[2]
local pause = #due >= tonumber(ARGV[3]) and 0 or math.min(nearest and math.max(nearest - now, 1) or TICK_MS, TICK_MS)
return {#due, math.ceil(pause)}
