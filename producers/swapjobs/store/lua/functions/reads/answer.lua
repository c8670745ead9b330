-- Answers a question, and ends its call.
-- ARGV: id, the answer (JSON), for how many ms the fleet pauses, the call for the metrics (its `tool
--   call result`) or "", how many ms it took
local contract = require('contract')
local clock = require('fleet.clock')
local gate = require('fleet.gate')
local metrics = require('fleet.metrics')
local jobs = require('jobs.job')
local keys = contract.keys

local ANSWER_MS = 60000  -- who asked is there, or will never be

local function call(args)
  jobs.end_lease(args[1], {})
  if tonumber(args[3]) > 0 then gate.pause_until(clock.now + args[3]) end
  metrics.observe_call(args[4], args[5])
  if redis.call('DEL', keys.read .. args[1]) == 0 then return 'gone' end
  redis.call('RPUSH', keys.read_answer .. args[1], args[2])
  redis.call('PEXPIRE', keys.read_answer .. args[1], ANSWER_MS)
  return 'ok'
end

return {flags = {'allow-oom'}, call = call}
