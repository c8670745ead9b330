-- Note that a job's credentials or quota were refused.
-- flags: allow-oom
-- ARGV: id
-- Returns how many different jobs that happened to since the last success.
redis.call('SADD', K.refused, ARGV[1])
redis.call('EXPIRE', K.refused, 3600)
return redis.call('SCARD', K.refused)
