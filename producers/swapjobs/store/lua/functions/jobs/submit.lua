-- Accept jobs in one step. Refused as a whole when Redis is full.
-- ARGV, eight for each job: see jobs/submission.
-- Returns for each job: created, existing, conflict, closed (its batch is), or full (Redis is nearly at its memory
-- limit).
local begin_submission = require('jobs.submission')

local function call(args)
  local outcomes, accept, finish = {}, begin_submission()
  for i = 1, #args, 8 do outcomes[#outcomes + 1] = accept(args, i) end
  finish()
  return outcomes
end

return {flags = {}, call = call}
