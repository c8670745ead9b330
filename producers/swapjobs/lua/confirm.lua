-- Asked after waiting for a slot, before sending: is the claim still ours, and has no pause begun meanwhile?
-- include: clock, traffic
-- flags: no-writes
-- ARGV: id, fence
-- Returns ok, lost (claimed by another, or final), or paused.
local job = redis.call('HMGET', K.job .. ARGV[1], 'state', 'claims')
if job[1] ~= STATE.running or job[2] ~= ARGV[2] then return 'lost' end
return paused_for() > 0 and 'paused' or 'ok'
