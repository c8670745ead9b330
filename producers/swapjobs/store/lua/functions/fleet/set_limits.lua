-- Write the fleet's limits; every worker does it at start, the last one wins.
-- ARGV: name, value pairs of the traffic state
local contract = require('contract')
local rate_share = require('vendor.rate_share')
local fleet = contract.fleet

local function call(args)
  local before, share_before = fleet.interval, fleet.bulk_share
  for i = 1, #args, 2 do fleet[args[i]] = tonumber(args[i + 1]) end
  if fleet.interval ~= before then rate_share.forget() end  -- that was learned about another rate
  if fleet.interval ~= before or fleet.bulk_share ~= share_before then fleet.bulk_arrival = 0 end
  fleet.rate_factor = math.max(fleet.rate_factor, fleet.rate_floor)
end

return {flags = {'allow-oom'}, call = call}
