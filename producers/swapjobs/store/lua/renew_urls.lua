-- A job that was submitted again: the same pictures under a new signature. Not where it has its picture already, and not
-- where somebody else was faster.
-- ARGV: id, the request as it was read (JSON), as it is to be, until when its URLs work (`ms/ISO time`, or "-")
-- Returns 1 where it was taken, else 0.
local id, before, after = ARGV[1], ARGV[2], ARGV[3]
local job, history = read(id), redis.call('GET', K.history .. id)
if not job or not history or job.state == STATE.succeeded then return 0 end
if string.sub(history .. '\n', 1, #before + 1) ~= before .. '\n' then return 0 end
redis.call('SET', K.history .. id, after .. string.sub(history, #before + 1), 'KEEPTTL')
note_urls(id, ARGV[4])
return 1
