-- Part: hints that are neither claimed nor on the runway after a few seconds: lost between the pop and the claim.
-- needs: traffic, runway, history
local STALE_HINT_MS = 5000

local function send_lost_hints(most)
  for lane, runway in pairs(RUNWAY) do
    local old = redis.call('ZRANGE', K.hints .. lane, '-inf', now_ms - STALE_HINT_MS, 'BYSCORE', 'LIMIT', 0, most)
    if #old > 0 then
      local waiting = table.concat(redis.call('LRANGE', runway, -2 * MOST, -1))
      for _, id in ipairs(old) do
        if redis.call('EXISTS', record_key(id)) == 0 then
          redis.call('ZREM', K.hints .. lane, id)  -- else it would hold a place of the lane for ever
        elseif not string.find(waiting, '"' .. id .. '"', 1, true) then
          send_hints(lane, {id})
        end
      end
    end
  end
end
