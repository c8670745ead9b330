-- Part: telling of a job's end: its own URL, and the endpoints of its tenant.
-- needs: traffic, deliver, announce

-- What a delivery that tells of this end of the job has as its message id; `%g` would round.
local function end_of_job(id, generation, round)
  return string.format('%s_%.0f_%.0f', id, generation or 1, round or 1)
end

-- In the step that ends it. Returns whether anybody is told.
local function tell_of_job(id, job, state)
  local event, endpoints = 'swap.' .. state, endpoints_for(job.tenant, 'swap.' .. state)
  if job.hook_host then begin_hook(id, {key = K.job .. id, hook_host = job.hook_host, tenant = job.tenant}) end
  if not endpoints[1] then return job.hook_host end
  local message = end_of_job(id, job.generation, redis.call('HGET', K.job .. id, 'round') or nil)
  for _, each in ipairs(endpoints) do
    local about = {tenant = job.tenant, event = event, subject = id, job = id, endpoint = each.id}
    new_delivery(message .. '@' .. each.id, about, each.host, each.url)
  end
  return true
end

-- The old end is no news any more. A try that is under way can't settle what the next end will schedule.
local function supersede(id, key)
  for _, telling in ipairs(redis.call('SMEMBERS', K.telling .. id)) do
    local hook = read_hook(telling)
    if hook then
      leave_hook_place(telling, hook)
      give_up_hook(telling, hook, 'the job was retried')
    end
  end
  local own = read_hook(id)
  if not own then return end
  if own.hook == 'pending' then
    leave_hook_place(id, own)
    redis.call('HINCRBY', key, 'hook_claims', 1)
    T.hooks_pending = math.max(T.hooks_pending - 1, 0)
  end
  redis.call('HSET', key, 'hook', 'none')
  redis.call('HDEL', key, 'hook_tries', 'hook_status', 'hook_next_at')
end
