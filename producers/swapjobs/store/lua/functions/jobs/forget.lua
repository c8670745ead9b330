-- Delete what is kept of finished jobs.
-- ARGV: ids
-- Returns for each what operations/forget says.
local forget = require('operations.forget')

local function call(args)
  local answers = {}
  for i, id in ipairs(args) do answers[i] = forget(id) end
  return answers
end

return {flags = {'allow-oom'}, call = call}
