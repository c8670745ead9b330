-- How the line stands: everything that traffic control knows, and how many stand in line.
-- flags: no-writes
-- Returns {now in ms, traffic as name, value pairs, counts as name, value pairs, whether a probe is out (1 or 0)}.
local traffic = {'rate', string.format('%.17g', 1000 * T.learned * ramp() / T.interval)}
for _, name in ipairs(FIELDS) do
  traffic[#traffic + 1], traffic[#traffic + 2] = name, string.format('%.17g', T[name])
end
local probing = 0
for _, id in ipairs(redis.call('SMEMBERS', K.probes)) do
  if (tonumber(redis.call('ZSCORE', K.wake, 'lease:' .. id) or nil) or 0) > now then probing = 1 end
end
return {now_ms, traffic, redis.call('HGETALL', K.counts), probing}
