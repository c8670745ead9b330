-- What every function does around its own work: it finds what Redis offers (library.py), sets the time and reads the
-- fleet state before; after it, where the function may write, it publishes deliveries that may go, and writes the hosts
-- and records that were changed, the state and what the metrics are to count.
local contract = require('contract')
local clock = require('fleet.clock')
local metrics = require('fleet.metrics')
local fleet_state = require('fleet.state')
local receiver_limits = require('queue.receiver_limits')
local refill = require('queue.refill')
local records = require('records.record')

-- Returns a function as Redis calls it. The last argument is the caller's SWAPJOBS_RESULT_TTL_S, in ms.
local function wrap(operation)
  local writes = operation.flags[1] ~= 'no-writes'
  return function(_, args)
    find_offered()
    contract.fleet.result_ttl_ms = tonumber(table.remove(args))
    clock.set()
    fleet_state.read()
    metrics.begin()
    refill.begin()
    receiver_limits.begin()
    records.begin()
    local answer = operation.call(args)
    if writes then
      refill.finish()
      receiver_limits.write()
      records.write()
      metrics.write()
      fleet_state.write()
    else
      fleet_state.forget_changes()
    end
    return answer
  end
end

return wrap
