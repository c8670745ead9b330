-- Whose turn it is in a lane, and who stands aside because limits of its own let it do nothing now.
-- Who was not there is as far as the one now served; who is really new comes before those that are: a first job waits for
-- nobody's round.
-- The lines of a lane, served in turn by weight. `who` is a tenant, or an endpoint host in the webhooks lane.
local contract = require('contract')
local clock = require('fleet.clock')
local batch_hold = require('queue.batch_hold')
local receiver_limits = require('queue.receiver_limits')
local tenant_limits = require('queue.tenant_limits')
local keys, fleet, SWAP_LANES = contract.keys, contract.fleet, contract.SWAP_LANES

local function join(lane, who, is_new)
  if not redis.call('ZSCORE', keys.fair .. lane, who) then
    redis.call('ZADD', keys.fair .. lane, fleet['served_' .. lane] - (is_new and 0.5 or 0), who)
    if fleet.tenants > 0 or lane == 'webhooks' then redis.call('SREM', keys.blocked .. lane, who) end
  end
end

local function leave(lane, who)
  if redis.call('ZREM', keys.fair .. lane, who) == 0 then redis.call('SREM', keys.blocked .. lane, who) end
end

-- Something of its limits is free again.
local function rejoin_tenant(tenant)
  for _, lane in ipairs(SWAP_LANES) do
    if redis.call('EXISTS', keys.queue .. lane .. ':' .. tenant) == 1 then join(lane, tenant) end
  end
end

-- The same of a host: a try is over, or its pause is.
local function rejoin_host(host)
  if redis.call('EXISTS', keys.queue .. 'webhooks:' .. host) == 1 then join('webhooks', host) end
end

-- It can do nothing now: out of the others' way until it may be otherwise (return_turn, and the wake-up).
local function block(lane, who, limits)
  redis.call('ZREM', keys.fair .. lane, who)
  if redis.call('EXISTS', keys.queue .. lane .. ':' .. who) == 0 then return end  -- there for its turn alone, see next_in_turn
  redis.call('SADD', keys.blocked .. lane, who)
  if lane == 'webhooks' then return receiver_limits.schedule_opening(who, limits) end
  if limits.paused > 0 or limits.interval == 0 then return end
  if limits.max_in_flight > 0 and limits.in_flight + limits.messages >= limits.max_in_flight then return end  -- a call's end will
  local more = math.max(2, tenant_limits.AHEAD_MS / limits.interval) - limits.messages - 1
  if more >= 0 then  -- when its rate allows one more than are out; else the next of those brings it back
    redis.call('ZADD', keys.schedule, math.ceil(math.max(limits.arrival - more * limits.interval, clock.now + 1)), 'tenant:' .. who)
  end
end

local HEAD = 1e12  -- returning jobs stand before all fresh ones, and among themselves in order

local function enqueue(lane, who, id, at_head)
  fleet.sequence = fleet.sequence + 1
  redis.call('ZADD', keys.queue .. lane .. ':' .. who, at_head and fleet.sequence - HEAD or fleet.sequence, id)
  join(lane, who, true)
end

local function remove(lane, who, id)
  local line = keys.queue .. lane .. ':' .. who
  if redis.call('ZREM', line, id) == 0 then return false end
  if redis.call('EXISTS', line) == 0 then leave(lane, who) end
  return true
end

-- The next jobs of a lane, `most` of them at most: one for each turn, more where nobody else stands there.
local function next_fair(lane, limit)
  while true do
    local turns = redis.call('ZRANGE', keys.fair .. lane, 0, 1, 'WITHSCORES')
    local who = turns[1]
    if not who then return {} end
    local limits = (lane == 'webhooks' and receiver_limits.read or tenant_limits.read)(who)
    local number = turns[3] and 1 or limit
    if limits then number = math.min(number, (lane == 'webhooks' and receiver_limits.room or tenant_limits.room)(limits)) end
    if number > 0 then
      local ids = batch_hold.pop(lane, who, number)
      if #ids > 0 then
        redis.call('ZINCRBY', keys.fair .. lane, #ids / (limits and limits.weight or 1), who)
        fleet['served_' .. lane] = math.max(fleet['served_' .. lane], tonumber(turns[2]))
        if limits then (lane == 'webhooks' and receiver_limits.change or tenant_limits.change)(who, 'messages', #ids) end
        return ids
      end
      if lane ~= 'webhooks' and batch_hold.budget <= 0 then
        redis.call('ZINCRBY', keys.fair .. lane, 1, who)  -- the next refill goes on, with others first
        return {}
      end
      -- Only now, and not when the line became empty: who comes back at once has had its turn of this round.
      redis.call('ZREM', keys.fair .. lane, who)
    else
      block(lane, who, limits)
    end
  end
end

return {
  join = join,
  rejoin_tenant = rejoin_tenant,
  rejoin_host = rejoin_host,
  HEAD = HEAD,
  enqueue = enqueue,
  remove = remove,
  next_fair = next_fair,
}
