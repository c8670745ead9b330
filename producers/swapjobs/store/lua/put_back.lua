-- A worker that stops has a hint in hand and will not use it.
-- flags: allow-oom
-- ARGV: id
local job = read(ARGV[1])
if job and take_hint(job.priority, job.tenant, ARGV[1]) and MOVES.start[job.state] then
  stand_in_line(job.priority, job.tenant, ARGV[1], true)
  refill_swaps()
end
