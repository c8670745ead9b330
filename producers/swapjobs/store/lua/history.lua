-- Part: records: where the hash of an id lies, what is added to its history, and that both expire together.
-- needs: traffic

-- A job's own delivery lies in the job's record; every other one has a record of its own, and an "@" in its id.
local function record_key(id)
  return (string.find(id, '@', 1, true) and K.delivery or K.job) .. id
end

-- Written anew and not appended: APPEND keeps as much room again in reserve.
local function add_to_history(id, line, ttl_ms)
  if line == '' then return end
  local lines = (redis.call('GET', K.history .. id) or '') .. '\n' .. line
  if ttl_ms then
    redis.call('SET', K.history .. id, lines, 'PX', ttl_ms)
  else
    redis.call('SET', K.history .. id, lines, 'KEEPTTL')
  end
end

-- With its last line, if there is one.
local function expire(id, line)
  redis.call('PEXPIRE', record_key(id), RESULT_TTL_MS)
  if line and line ~= '' then
    add_to_history(id, line, RESULT_TTL_MS)
  else
    redis.call('PEXPIRE', K.history .. id, RESULT_TTL_MS)
  end
end
