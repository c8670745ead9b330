-- Begin the tries of a delivery anew, with the same webhook id; one that is under way can't settle it any more.
-- No allow-oom: what was about to expire is kept again, and makes new work.
-- ARGV: id, tenant
-- Returns ok, gone, superseded (the job was retried since, or its record has expired), disabled (its endpoint is, or was
--   removed), or full (Redis is nearly at its memory limit).
local MOST_LINES = 40
local id, hook = ARGV[1], read_hook(ARGV[1])
if not hook or hook.tenant ~= ARGV[2] or hook.hook == 'none' then return 'gone' end
if T.full == 1 then return 'full' end
if hook.job then
  local now_at = redis.call('HMGET', K.job .. hook.job, 'state', 'generation', 'round')
  local message = end_of_job(hook.job, now_at[2] or nil, now_at[3] or nil)
  if not now_at[1] or MOVES.cancel[now_at[1]] or message ~= string.match(id, '^(.+)@') then return 'superseded' end
end
local endpoint = hook.endpoint and endpoint_of(hook.endpoint)
if hook.endpoint and why_ended(hook.endpoint) then return 'disabled' end
if hook.hook == 'pending' then
  leave_hook_place(id, hook)
  T.hooks_pending = T.hooks_pending - 1
end
redis.call('HINCRBY', hook.key, 'hook_claims', 1)
redis.call('HDEL', hook.key, 'hook_tries', 'hook_status', 'hook_next_at')
-- The oldest lines of its own log make room.
local lines = {}
for line in string.gmatch(redis.call('GET', K.history .. id) or '', '[^\n]+') do lines[#lines + 1] = line end
if hook.key ~= K.job .. id and #lines > MOST_LINES then
  redis.call('SET', K.history .. id, lines[1] .. '\n' .. table.concat(lines, '\n', #lines - MOST_LINES + 2))
end
for _, each in ipairs({id, hook.job}) do
  redis.call('PERSIST', record_key(each))
  redis.call('PERSIST', K.history .. each)
end
if endpoint then hook.hook_host = endpoint.host end
redis.call('HSET', hook.key, 'hook_host', hook.hook_host)
begin_hook(id, hook)
refill_webhooks()
return 'ok'
