-- The time of the call that runs now, in ms: `now` with a fraction, `now_ms` as a whole number.
local redis_time = require('fleet.redis_time')
local clock = {now = 0, now_ms = 0}

-- Reads the time, once for each call.
function clock.set()
  clock.now = redis_time()
  clock.now_ms = math.floor(clock.now)
end

return clock
