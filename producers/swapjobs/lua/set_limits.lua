-- Write the fleet's limits; every worker does it at start, the last one wins.
-- flags: allow-oom
-- ARGV: field, value pairs
return redis.call('HSET', K.traffic, unpack(ARGV))
