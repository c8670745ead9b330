-- Confirms a claim after a wait for its slot, before sending: is it still ours, and was dispatch not paused meanwhile?
-- ARGV: id, fence
-- Returns ok, lost (claimed by another, or final), paused_manually, rate_limit or outage.
local contract = require('contract')
local gate = require('fleet.gate')
local records = require('records.record')
local keys, STATE = contract.keys, contract.STATE

local function call(args)
  local job = records.read(args[1])
  if not job or job.state ~= STATE.running or job.claims ~= tonumber(args[2]) then return 'lost' end
  local obstacle = gate.closed_by()
  if obstacle == 'outage' and redis.call('SISMEMBER', keys.probes, args[1]) == 1 then return 'ok' end
  return obstacle or 'ok'
end

return {flags = {'no-writes'}, call = call}
