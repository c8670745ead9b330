-- The ready queues, the lists from which Celery's workers pop: how long they are to be, and the register of the
-- messages that are published and not taken yet.
local contract = require('contract')
local clock = require('fleet.clock')
local fair = require('queue.fair')
local receiver_limits = require('queue.receiver_limits')
local tenant_limits = require('queue.tenant_limits')
local keys, fleet, MESSAGE, READY = contract.keys, contract.fleet, contract.MESSAGE, contract.READY

local MIN_LENGTH = 8

-- Returns how many messages should be out: as many as were taken in the last 2 s or so, enough for every worker and not
-- so many that they grow old.
local function target_length(kind)
  local length = math.max(math.ceil(tenant_limits.AHEAD_MS / fleet['pace_' .. kind]), MIN_LENGTH)
  return math.min(length, tenant_limits.MAX_PUBLISHED)
end

-- Notes a claim: the pace is the mean gap between two of them, in ms.
local function note_claim(kind)
  local last, pace = fleet['claimed_' .. kind], fleet['pace_' .. kind]
  if last == 0 then last = clock.now end
  fleet['pace_' .. kind] = math.max(pace + (math.min(math.max(clock.now - last, 0), 10000) - pace) / 16, 0.1)
  fleet['claimed_' .. kind] = clock.now
end

-- Sends a message for each of these jobs to the lane's ready queue.
local function publish(lane, ids)
  local register, messages = {}, {}
  for i, id in ipairs(ids) do
    register[2 * i - 1], register[2 * i] = clock.now_ms, id
    messages[i] = table.concat(MESSAGE[lane], id)
  end
  redis.call('ZADD', keys.published .. lane, unpack(register))
  redis.call('LPUSH', READY[lane], unpack(messages))
end

-- Takes a job's message out of the register; returns whether there was one.
local function take(lane, owner, id)
  if redis.call('ZREM', keys.published .. lane, id) == 0 then return false end
  if lane == 'webhooks' then
    receiver_limits.change(owner, 'messages', -1)
  elseif tenant_limits.change(owner, 'messages', -1) then
    fair.rejoin_tenant(owner)
  end
  return true
end

return {
  target_length = target_length,
  note_claim = note_claim,
  publish = publish,
  take = take,
}
