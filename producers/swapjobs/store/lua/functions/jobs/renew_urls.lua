-- A job that was submitted again: the same pictures under a new signature. Not where it has its picture already, and
-- not where somebody else was faster.
-- ARGV: id, the request as it was read (JSON), as it is to be, until when its URLs work (`ms/ISO time`, or "-") Returns
--   1 where it was taken, else 0.
local contract = require('contract')
local jobs = require('jobs.job')
local signed_urls = require('jobs.signed_urls')
local keys, STATE = contract.keys, contract.STATE

local function call(args)
  local id, before, after = args[1], args[2], args[3]
  local job, history = jobs.read(id), redis.call('GET', keys.history .. id)
  if not job or not history or job.state == STATE.succeeded then return 0 end
  if string.sub(history .. '\n', 1, #before + 1) ~= before .. '\n' then return 0 end
  redis.call('SET', keys.history .. id, after .. string.sub(history, #before + 1), 'KEEPTTL')
  signed_urls.note(id, args[4])
  return 1
end

return {flags = {}, call = call}
