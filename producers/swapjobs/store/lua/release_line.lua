-- Open the line that was closed by hand. Whoever does that wants to see a call: a pause by the vendor's word ends too, and a
-- line that the breaker closed is probed at once.
-- flags: allow-oom
T.held, T.probe_at, T.paused_until = 0, now_ms, 0
refill_swaps()
