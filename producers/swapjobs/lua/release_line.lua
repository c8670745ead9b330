-- Open the line that was closed by hand. Whoever does that wants to see a call: a pause by the vendor's word ends too, and a
-- line that the breaker closed is probed at once.
-- include: clock, line, traffic, rate, refill
-- flags: allow-oom
redis.call('HDEL', K.traffic, 'held')
redis.call('HSET', K.traffic, 'probe_at', now_ms, 'paused_until', 0)
T.held, T.probe_at, T.paused_until = 0, now_ms, 0
refill_swaps()
