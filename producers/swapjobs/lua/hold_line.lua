-- Close the line by hand; closed already, it stays closed since then.
-- include: clock
-- flags: allow-oom
redis.call('HSETNX', K.traffic, 'held', now_ms)
