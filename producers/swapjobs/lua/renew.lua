-- Renew the leases of a worker's running jobs in one round trip.
-- include: clock
-- flags: allow-oom
-- ARGV, three for each job: id, fence, lease in ms
-- Returns for each job: ok or lost (claimed by another, or no longer running).
local answers = {}
for i = 1, #ARGV, 3 do
  local id = ARGV[i]
  local job = redis.call('HMGET', K.job .. id, 'state', 'claims')
  if job[1] == STATE.running and job[2] == ARGV[i + 1] then
    redis.call('ZADD', K.wake, math.floor(now + ARGV[i + 2]), 'lease:' .. id)
    answers[#answers + 1] = 'ok'
  else
    answers[#answers + 1] = 'lost'
  end
end
return answers
