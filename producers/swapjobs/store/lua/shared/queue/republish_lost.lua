-- Publishes messages again that were lost between the pop and the claim: after a few seconds they are neither claimed
-- nor in the ready queue.
local contract = require('contract')
local clock = require('fleet.clock')
local ready = require('queue.ready')
local tenant_limits = require('queue.tenant_limits')
local records = require('records.record')
local keys, READY = contract.keys, contract.READY

local STALE_MESSAGE_MS = 5000

local function republish_lost_messages(limit)
  for lane, queue in pairs(READY) do
    local stale_since = clock.now_ms - STALE_MESSAGE_MS
    local old = redis.call('ZRANGE', keys.published .. lane, '-inf', stale_since, 'BYSCORE', 'LIMIT', 0, limit)
    if #old > 0 then
      local waiting = table.concat(redis.call('LRANGE', queue, -2 * tenant_limits.MAX_PUBLISHED, -1))
      for _, id in ipairs(old) do
        if not records.exists(id) then
          redis.call('ZREM', keys.published .. lane, id)  -- else it would count as published for ever
        elseif not string.find(waiting, '"' .. id .. '"', 1, true) then
          ready.publish(lane, {id})
        end
      end
    end
  end
end

return republish_lost_messages
