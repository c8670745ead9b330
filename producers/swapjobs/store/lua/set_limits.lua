-- Write the fleet's limits; every worker does it at start, the last one wins.
-- flags: allow-oom
-- ARGV: name, value pairs of the traffic state
local before, share_before = T.interval, T.bulk_share
for i = 1, #ARGV, 2 do T[ARGV[i]] = tonumber(ARGV[i + 1]) end
if T.interval ~= before then forget() end  -- that was learned about another rate
if T.interval ~= before or T.bulk_share ~= share_before then T.bulk_arrival = 0 end
T.learned = math.max(T.learned, T.rate_floor)
