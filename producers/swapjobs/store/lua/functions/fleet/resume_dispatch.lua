-- Ends an operator's pause. Whoever does that wants to see a call: a pause by the vendor's word ends too, and where the
-- breaker is open the vendor is probed at once.
local contract = require('contract')
local clock = require('fleet.clock')
local refill = require('queue.refill')
local fleet = contract.fleet

local function call()
  fleet.paused_manually, fleet.probe_at, fleet.paused_until = 0, clock.now_ms, 0
  refill.swaps()
end

return {flags = {'allow-oom'}, call = call}
