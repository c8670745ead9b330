-- Records: where the hash of an id lies, what is added to its history, and that both expire together.
local contract = require('contract')
local keys = contract.keys

-- A job's own delivery lies in the job's record; every other one has a record of its own, and an "@" in its id.
local function record_key(id)
  return (string.find(id, '@', 1, true) and keys.delivery or keys.job) .. id
end

-- Written anew and not appended: APPEND keeps as much room again in reserve.
local function append(id, line, ttl_ms)
  if line == '' then return end
  local lines = (redis.call('GET', keys.history .. id) or '') .. '\n' .. line
  if ttl_ms then
    redis.call('SET', keys.history .. id, lines, 'PX', ttl_ms)
  else
    redis.call('SET', keys.history .. id, lines, 'KEEPTTL')
  end
end

-- After so many ms; with its last line, if there is one.
local function expire(id, ttl_ms, line)
  redis.call('PEXPIRE', record_key(id), ttl_ms)
  if line and line ~= '' then
    append(id, line, ttl_ms)
  else
    redis.call('PEXPIRE', keys.history .. id, ttl_ms)
  end
end

return {
  record_key = record_key,
  append = append,
  expire = expire,
}
