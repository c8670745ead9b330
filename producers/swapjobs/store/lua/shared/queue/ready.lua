-- The runways, Celery's queues: how long they are to be, and the register of the hints that are out.
local contract = require('contract')
local clock = require('fleet.clock')
local fair = require('queue.fair')
local receiver_limits = require('queue.receiver_limits')
local tenant_limits = require('queue.tenant_limits')
local keys, fleet, MESSAGE, READY = contract.keys, contract.fleet, contract.MESSAGE, contract.READY

local FEWEST = 8

-- As many hints as were taken in the last 2 s or so: enough for every worker, not so many that they grow old.
local function target_length(kind)
  return math.min(math.max(math.ceil(tenant_limits.AHEAD_MS / fleet['pace_' .. kind]), FEWEST), tenant_limits.MAX_PUBLISHED)
end

-- Told at every claim: the mean gap between two of them, in ms.
local function note_claim(kind)
  local last, pace = fleet['claimed_' .. kind], fleet['pace_' .. kind]
  if last == 0 then last = clock.now end
  fleet['pace_' .. kind] = math.max(pace + (math.min(math.max(clock.now - last, 0), 10000) - pace) / 16, 0.1)
  fleet['claimed_' .. kind] = clock.now
end

local function publish(lane, ids)
  local register, messages = {}, {}
  for i, id in ipairs(ids) do
    register[2 * i - 1], register[2 * i] = clock.now_ms, id
    messages[i] = string.gsub(MESSAGE[lane], '%%id%%', id)
  end
  redis.call('ZADD', keys.published .. lane, unpack(register))
  redis.call('LPUSH', READY[lane], unpack(messages))
end

-- Whether there was a hint of this job; it is none any more.
local function take(lane, who, id)
  if redis.call('ZREM', keys.published .. lane, id) == 0 then return false end
  if lane == 'webhooks' then
    receiver_limits.change(who, 'messages', -1)
    fair.rejoin_host(who)
  elseif tenant_limits.change(who, 'messages', -1) then
    fair.rejoin_tenant(who)
  end
  return true
end

return {
  target_length = target_length,
  note_claim = note_claim,
  publish = publish,
  take = take,
}
