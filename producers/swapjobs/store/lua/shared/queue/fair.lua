-- The queues of a lane and owner is served next: start-time fair queueing by weight. An `owner` has a queue of its own:
-- a tenant, or a receiver's host in the webhooks lane. An owner whose own limits allow nothing now is blocked, and so
-- in no one's way.
local contract = require('contract')
local clock = require('fleet.clock')
local batch_hold = require('queue.batch_hold')
local receiver_limits = require('queue.receiver_limits')
local tenant_limits = require('queue.tenant_limits')
local keys, fleet, SWAP_LANES = contract.keys, contract.fleet, contract.SWAP_LANES

-- Lets an owner take part. Its share begins where the one served now stands; a new owner's first job comes before
-- those.
local function join(lane, owner, is_new)
  if not redis.call('ZSCORE', keys.fair .. lane, owner) then
    redis.call('ZADD', keys.fair .. lane, fleet['served_' .. lane] - (is_new and 0.5 or 0), owner)
    if fleet.tenants > 0 or lane == 'webhooks' then redis.call('SREM', keys.blocked .. lane, owner) end
  end
end

local function leave(lane, owner)
  if redis.call('ZREM', keys.fair .. lane, owner) == 0 then redis.call('SREM', keys.blocked .. lane, owner) end
end

-- Lets a tenant take part again: something of its limits is free.
local function rejoin_tenant(tenant)
  for _, lane in ipairs(SWAP_LANES) do
    if redis.call('EXISTS', keys.queue .. lane .. ':' .. tenant) == 1 then join(lane, tenant) end
  end
end

-- Lets hosts take part again of which a try or a pause is over. One that begins a pause does too: its opening is
-- scheduled where it is taken out of the way.
local function rejoin_hosts()
  for name in pairs(receiver_limits.take_freed()) do
    local host = receiver_limits.read(name)
    local may_go = receiver_limits.room(host) > 0 or host.opens_at > clock.now
    if may_go and redis.call('EXISTS', keys.queue .. 'webhooks:' .. name) == 1 then join('webhooks', name) end
  end
end

-- Takes an owner out of the others' way until its limits allow something (rejoin_tenant, rejoin_hosts, or the
-- schedule).
local function block(lane, owner, limits)
  redis.call('ZREM', keys.fair .. lane, owner)
  -- without a queue it took part only to keep its share of this round, see next_fair
  if redis.call('EXISTS', keys.queue .. lane .. ':' .. owner) == 0 then return end
  redis.call('SADD', keys.blocked .. lane, owner)
  if lane == 'webhooks' then return receiver_limits.schedule_opening(owner, limits) end
  if limits.paused > 0 or limits.interval == 0 then return end
  -- the end of a call lets it take part again
  if limits.max_in_flight > 0 and limits.in_flight + limits.messages >= limits.max_in_flight then return end
  local more = math.max(2, tenant_limits.AHEAD_MS / limits.interval) - limits.messages - 1
  if more >= 0 then  -- due when its rate allows one more than are out; else the next of those lets it take part
    local at = math.max(limits.arrival - more * limits.interval, clock.now + 1)
    redis.call('ZADD', keys.schedule, math.ceil(at), 'tenant:' .. owner)
  end
end

local HEAD = 1e12  -- jobs that come back stand before all fresh ones, and among themselves in order

-- Adds a job to its owner's queue; at_head for one that comes back.
local function enqueue(lane, owner, id, at_head)
  fleet.sequence = fleet.sequence + 1
  redis.call('ZADD', keys.queue .. lane .. ':' .. owner, at_head and fleet.sequence - HEAD or fleet.sequence, id)
  join(lane, owner, true)
end

-- Takes a job out of its queue; returns whether it was there.
local function remove(lane, owner, id)
  local queue = keys.queue .. lane .. ':' .. owner
  if redis.call('ZREM', queue, id) == 0 then return false end
  if redis.call('EXISTS', queue) == 0 then leave(lane, owner) end
  return true
end

-- Takes an owner's next jobs, `limit` at most; with them how far that moves it back. None and 0: it is out of the
-- others' way.
local function take(lane, owner, limit)
  local owner_limits = lane == 'webhooks' and receiver_limits or tenant_limits
  local limits = owner_limits.read(owner)
  local number = limits and math.min(limit, owner_limits.room(limits)) or limit
  if number <= 0 then
    block(lane, owner, limits)
    return {}, 0
  end
  local ids = batch_hold.pop(lane, owner, number)
  if ids[1] then
    if limits then owner_limits.change(owner, 'messages', #ids) end
    return ids, #ids / (limits and limits.weight or 1)
  end
  if batch_hold.is_spent(lane) then return {}, 1 end  -- the next refill goes on, with others first
  -- Only now, and not when its queue became empty: an owner that comes back at once has had its share of this round.
  redis.call('ZREM', keys.fair .. lane, owner)
  return {}, 0
end

local AT_ONCE = 64  -- owners of one look

-- Takes the next jobs of a lane, `limit` at most: one of each owner, more where there is no other. One look at the
-- owners serves those whose turn comes before the first of them has its next; returns whether another may find more.
local function next_fair(lane, limit)
  local last = math.max(math.min(limit, AT_ONCE), 2) - 1
  local owners = redis.call('ZRANGE', keys.fair .. lane, 0, last, 'WITHSCORES')
  local ids, places, first_again, goes_on = {}, {}, math.huge, owners[1] ~= nil
  for i = 1, #owners, 2 do
    local owner, at = owners[i], tonumber(owners[i + 1])
    if #ids == limit or at > first_again then break end
    local own_ids, share = take(lane, owner, owners[3] and 1 or limit)
    if share > 0 then
      places[#places + 1], places[#places + 2] = at + share, owner
      first_again, goes_on = math.min(first_again, at + share), own_ids[1] ~= nil
      if not goes_on then break end
      fleet['served_' .. lane] = math.max(fleet['served_' .. lane], at)
      for _, id in ipairs(own_ids) do ids[#ids + 1] = id end
    end
  end
  if places[1] then redis.call('ZADD', keys.fair .. lane, unpack(places)) end
  return ids, goes_on
end

return {
  join = join,
  rejoin_tenant = rejoin_tenant,
  rejoin_hosts = rejoin_hosts,
  HEAD = HEAD,
  enqueue = enqueue,
  remove = remove,
  next_fair = next_fair,
}
