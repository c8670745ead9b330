-- Pauses dispatch by an operator; paused already, it stays so since then.
local contract = require('contract')
local clock = require('fleet.clock')
local fleet = contract.fleet

local function call()
  if fleet.paused_manually == 0 then fleet.paused_manually = clock.now_ms end
end

return {flags = {'allow-oom'}, call = call}
