-- Puts finished jobs back in the queue because their user asks.
-- No allow-oom: what was about to expire is kept again, and makes new work. A full Redis refuses that like new jobs.
-- ARGV: ids
-- Returns for each job: ok, the state from which there is no retry, gone, or full (Redis is nearly at its limit).
local retry = require('operations.retry')

return {flags = {}, call = retry}
