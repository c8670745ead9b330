-- Make a tenant's endpoint, change it, or take it away.
-- flags: allow-oom
-- ARGV: id, tenant, how many a tenant may have (0: this one must be there), then field, value pairs ("" takes a field away);
--   without them it is removed
-- Returns ok, full (the tenant has as many as it may), or gone (there is none with this id).
local id, tenant, most, key = ARGV[1], ARGV[2], tonumber(ARGV[3]), K.endpoint .. ARGV[1]
local of_tenant = K.endpoints .. tenant
if most == 0 and redis.call('SISMEMBER', of_tenant, id) == 0 then return 'gone' end
if most > 0 and redis.call('SCARD', of_tenant) >= most then return 'full' end
if #ARGV == 3 then
  redis.call('DEL', key)
  redis.call('SREM', of_tenant, id)
  redis.call('SREM', K.all_endpoints, id)
else
  for i = 4, #ARGV, 2 do
    if ARGV[i + 1] == '' then redis.call('HDEL', key, ARGV[i]) else redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
  end
  redis.call('SADD', of_tenant, id)
  redis.call('SADD', K.all_endpoints, id)
end
T.endpoints = redis.call('SCARD', K.all_endpoints)
if redis.call('HGET', key, 'state') ~= 'enabled' then redis.call('ZADD', K.wake, now_ms, 'undeliver:' .. id) end
return 'ok'
