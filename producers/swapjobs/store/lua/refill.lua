-- Part: moves jobs from the lines to the runways, as far as the traffic state allows.
-- needs: traffic, tenant, stopped, line, rate, runway
local function refill_lane(lane, room)
  while room > 0 do
    local ids = next_in_turn(lane, room)
    if #ids == 0 then break end
    send_hints(lane, ids)
    room = room - #ids
  end
  return room
end

-- Nobody else is left to probe with: who has waited longest asks again.
local function send_parked()
  local id = redis.call('ZPOPMIN', K.parked)[1]
  if id and redis.call('ZREM', K.wake, 'retry:' .. id) == 1 then
    local place = redis.call('HMGET', K.job .. id, 'priority', 'tenant')
    local limits = limits_of(place[2])
    if limits and limits.paused > 0 then return stand_in_line(place[1], place[2], id, true) end
    send_hints(place[1], {id})
    change_tenant(place[2], 'hints', 1)
  end
end

-- Not at every claim but in blocks of a quarter of the runway: to look at the lines costs the same for one and for many.
local function is_long_enough(length, out)
  return out > 0.75 * length
end

local function refill_swaps()
  may_set_aside = MOST_SET_ASIDE
  local length, calls, bulk_calls = runway_length('swaps'), bookable()
  local interactive_out, bulk_out = redis.call('ZCARD', K.hints .. 'interactive'), redis.call('ZCARD', K.hints .. 'bulk')
  -- bulk hints that are out do not keep interactive jobs off the runway: theirs is popped first
  local room = math.min(length, calls) - interactive_out
  if not is_long_enough(length, interactive_out) then room = refill_lane('interactive', room) end
  room = room - bulk_out
  if room > 0 and not is_long_enough(length, bulk_out) then
    local bulk_room = math.min(room, bulk_calls - bulk_out)
    room = room - bulk_room + refill_lane('bulk', bulk_room)
  end
  if room > 0 and T.tripped > 0 then send_parked() end
end

-- The end of a call makes room only where calls in flight are counted, or a probe opened the line; else the claims refill.
local function may_go_on_without_refill()
  return T.max_in_flight == 0 and T.tenants == 0 and T.reset_at + 1000 < now
end

local function refill_webhooks()
  local length, out = runway_length('webhooks'), redis.call('ZCARD', K.hints .. 'webhooks')
  if not is_long_enough(length, out) then refill_lane('webhooks', length - out) end
end
