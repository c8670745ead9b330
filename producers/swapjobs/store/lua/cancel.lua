-- Cancel a job: final at once, also while it runs.
-- flags: allow-oom
-- ARGV: id
-- Returns ok, the final state that it already had, or gone.
local job = read(ARGV[1])
if not job then return 'gone' end
if not MOVES.cancel[job.state] then return job.state end
finish(ARGV[1], job, TARGET.cancel)
refill_swaps()
return 'ok'
