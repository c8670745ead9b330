-- Open a batch, unless it is there already.
-- ARGV: tenant, batch, callback URL or ""
-- Returns ok, or full (Redis is nearly at its memory limit).
local key = K.batch .. ARGV[1] .. ':' .. ARGV[2]
if T.full == 1 and redis.call('HEXISTS', key, 'created_at') == 0 then return 'full' end
open_batch(ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', key, 'callback_url', ARGV[3]) end
return 'ok'
