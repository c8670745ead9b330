-- Part: the clock was put back. What was to happen in a minute is to happen in a minute, not in an hour and a minute.
-- needs: traffic
local function move_times(change)
  for _, member in ipairs(redis.call('ZRANGE', K.wake, 0, -1)) do
    -- expires_at is the user's own time
    if string.sub(member, 1, 7) ~= 'expiry:' then redis.call('ZINCRBY', K.wake, change, member) end
  end
  for lane in pairs(RUNWAY) do
    for _, id in ipairs(redis.call('ZRANGE', K.hints .. lane, 0, -1)) do redis.call('ZADD', K.hints .. lane, now_ms, id) end
  end
  for _, tenant in ipairs(redis.call('SMEMBERS', K.tenants)) do
    redis.call('HINCRBYFLOAT', K.tenant .. tenant, 'arrival', change)
  end
  for _, field in ipairs({'bulk_arrival', 'paused_until', 'probe_at', 'cut_at', 'tripped_at', 'reset_at', 'epoch_at',
                          'known_until', 'phase_from', 'phase_began', 'tried_until', 'doubt_at'}) do
    T[field] = math.max(T[field] + change, 0)
  end
  redis.call('DEL', K.failures)  -- with times that mean nothing now
end
