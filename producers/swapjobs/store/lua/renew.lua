-- Renew the leases of a worker's running jobs in one round trip.
-- flags: allow-oom
-- ARGV, three for each job: id, fence, lease in ms
-- Returns for each job: ok or lost (claimed by another, or no longer running).
local answers = {}
for i = 1, #ARGV, 3 do
  local id, fence = ARGV[i], tonumber(ARGV[i + 1])
  local job = read(id)
  if job and job.claims < fence then remember(id, job, fence) end
  if job and job.state == STATE.running and job.claims == fence then
    redis.call('ZADD', K.wake, math.floor(now + ARGV[i + 2]), 'lease:' .. id)
    answers[#answers + 1] = 'ok'
  else
    -- one that was cancelled meanwhile: its call is under way all the same, and counted as long as we are told of it
    if job and job.claims == fence then redis.call('ZADD', K.wake, 'XX', math.floor(now + ARGV[i + 2]), 'lease:' .. id) end
    answers[#answers + 1] = 'lost'
  end
end
return answers
