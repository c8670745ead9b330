-- A job that was submitted again: the same pictures under a new signature. Not where it has its picture already, and
-- not where somebody else was faster.
-- ARGV: id, the request as it was read (JSON), as it is to be, until when its URLs work (`ms/ISO time`, or "-") Returns
--   1 where it was taken, else 0.
local contract = require('contract')
local signed_urls = require('jobs.signed_urls')
local records = require('records.record')
local STATE = contract.STATE

local function call(args)
  local job, before, after = records.read(args[1]), args[2], args[3]
  if not job or job.state == STATE.succeeded then return 0 end
  if string.sub(job.history .. '\n', 1, #before + 1) ~= before .. '\n' then return 0 end
  records.rewrite(job, after .. string.sub(job.history, #before + 1))
  signed_urls.note(job, args[4])
  return 1
end

return {flags = {}, call = call}
