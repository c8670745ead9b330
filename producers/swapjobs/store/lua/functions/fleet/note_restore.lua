-- Redis was restored from a backup: what was sent since then is forgotten, and what was submitted since then too. Every
-- job that is here, and every one that comes in the time given, is looked up at the vendor before it is sent.
-- ARGV: for how many ms producers may still submit again what was lost
local contract = require('contract')
local clock = require('fleet.clock')
local failover = require('jobs.failover')
local fleet = contract.fleet

local function call(args)
  failover.begin_epoch()
  fleet.restored_until = math.floor(clock.now + args[1])
end

return {flags = {'allow-oom'}, call = call}
