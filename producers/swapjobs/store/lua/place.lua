-- Part: a job's record and the one place where it stands: its line, the runway, its lease, a time in the wake-up set, or set aside.
-- needs: traffic, tenant, line, refill, tally
local PLACE_FIELDS = {'state', 'tenant', 'priority', 'fingerprint', 'generation', 'expires_at', 'claims', 'step',
                      'hook_host', 'batch'}
local function read(id)
  local values, job = redis.call('HMGET', K.job .. id, unpack(PLACE_FIELDS)), {}
  if not values[1] then return nil end
  for i, name in ipairs(PLACE_FIELDS) do job[name] = values[i] or nil end
  job.claims = tonumber(job.claims or 0)
  return job
end

-- The same of a whole record, as HGETALL gives it.
local function as_job(fields)
  if not fields[1] then return nil end
  local job = {}
  for i = 1, #fields, 2 do job[fields[i]] = fields[i + 1] end
  job.claims = tonumber(job.claims or 0)
  return job
end

-- Every change of a job's state, with other fields that change: told to whoever waits for it, counted by its batch.
local function enter(id, job, state, ...)
  redis.call('HSET', K.job .. id, 'state', state, ...)
  if state == job.state then return end
  redis.call('PUBLISH', K.changed .. id, state)
  if job.batch then count_move(id, job.tenant .. ':' .. job.batch, job.state, state) end
  job.state = state
end

-- Of the call that a lease stands for.
local function count_in_flight(job, change)
  T.in_flight = math.max(T.in_flight + change, 0)
  if job.priority == 'bulk' then T.bulk_in_flight = math.max(T.bulk_in_flight + change, 0) end
  if T.in_flight == 0 then T.bulk_in_flight = 0 end
  if job.tenant and change_tenant(job.tenant, 'in_flight', change) and change < 0 then return_turn(job.tenant) end
end

-- The call is over, or nobody knows of it any more.
local function end_lease(id, job)
  if redis.call('ZREM', K.wake, 'lease:' .. id) == 1 then count_in_flight(job, -1) end
end

-- Take the job out of the one place where it stands for its next attempt.
local function leave_place(id, job)
  if job.state == STATE.running then
    end_lease(id, job)
  elseif not take_hint(job.priority, job.tenant, id)
      and redis.call('ZREM', K.wake, 'retry:' .. id, 'poll:' .. id, 'verdict:' .. id) == 0 then
    local stood = leave_line(job.priority, job.tenant, id)
    if not stood and job.batch then redis.call('ZREM', K.set_aside .. job.tenant .. ':' .. job.batch, id) end
  end
end
