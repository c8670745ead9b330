-- A worker has connected: is this the server that the fleet knows? Another one was restarted or took over, and what was
-- written last may be missing. So fences begin anew above all that can have been given out, and the jobs that may have
-- been claimed in that time are looked up at the vendor before they are sent.
-- flags: allow-oom
local MISSING_MS = 2000  -- appendfsync everysec loses up to 1 s, 2 s on a busy disk
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('GET', K.server)
if known == run_id then return 'known' end
redis.call('SET', K.server, run_id)
if not known then return 'first' end
local doubts = math.ceil(MISSING_MS / T.interval) + T.burst
for _, lane in ipairs({'interactive', 'bulk'}) do doubts = doubts + redis.call('ZCARD', K.hints .. lane) end
-- By the time and not counted on: a server that was restored twice to the same moment would count to the same number.
local epoch = math.max(T.epoch + 1, math.floor(now / 1000))
local last_sign = T.dispatched_at > 0 and T.dispatched_at or now
T.epoch, T.epoch_at, T.doubts, T.known_until = epoch, now_ms, T.doubts + doubts, math.floor(last_sign + MISSING_MS)
-- Calls that were booked in that time are forgotten too: no burst.
for _, step in ipairs({'send', 'query'}) do
  local field, gap = rate_of(step)
  T[field] = math.max(T[field], now + T.burst * gap)
end
return 'another'
