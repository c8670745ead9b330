-- Asked after waiting for a slot, before sending: is the claim still ours, and was the line not closed meanwhile?
-- flags: no-writes
-- ARGV: id, fence
-- Returns ok, lost (claimed by another, or final), held, paused or outage.
local job = redis.call('HMGET', K.job .. ARGV[1], 'state', 'claims')
if job[1] ~= STATE.running or job[2] ~= ARGV[2] then return 'lost' end
local obstacle = closed_by()
if obstacle == 'outage' and redis.call('SISMEMBER', K.probes, ARGV[1]) == 1 then return 'ok' end
return obstacle or 'ok'
