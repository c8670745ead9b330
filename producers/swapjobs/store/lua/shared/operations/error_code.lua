-- Says whether a job ended with this error code: a failed one with the code that it has, an expired one with `expired`.
local contract = require('contract')
local STATE = contract.STATE

local function ended_with(job, code)
  if code == STATE.expired then return job.state == STATE.expired end
  return job.state == STATE.failed and job.code == code
end

return ended_with
