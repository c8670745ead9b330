-- Part: until when a job's URLs work, as far as their signatures tell: past it a call would be spent for nothing.
-- needs: traffic, place, finish
local SKEW_MS = 30000  -- the clocks of those who sign and of Redis need not agree

-- `until_when`: `ms/ISO time`, or "-".
local function note_urls(id, until_when)
  if until_when == '-' then
    redis.call('HDEL', K.job .. id, 'urls_until')
  else
    redis.call('HSET', K.job .. id, 'urls_until', until_when)
  end
end

-- Return whether a call for this job would ask for a picture that can't be had any more; then it has failed.
local function is_past_its_urls(id, job, step)
  local ms, text = string.match(job.urls_until or '', '^(%d+)/(.+)$')
  if step ~= 'send' or not ms or tonumber(ms) + SKEW_MS > now then return false end
  redis.call('HDEL', K.job .. id, 'next_attempt_at', 'reason')
  enter(id, job, TARGET.start, 'step', step, 'code', URL_EXPIRED)
  finish(id, job, TARGET.fail, string.format(URL_EXPIRED_LINE, text))
  return true
end
