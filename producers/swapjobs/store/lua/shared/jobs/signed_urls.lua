-- Until when a job's URLs work, as far as their signatures tell: past it a call would be spent for nothing.
local contract = require('contract')
local clock = require('fleet.clock')
local finish_job = require('jobs.finish')
local jobs = require('jobs.job')
local records = require('records.record')
local TARGET = contract.TARGET
local URL_EXPIRED, URL_EXPIRED_ENTRY = contract.URL_EXPIRED, contract.URL_EXPIRED_ENTRY

local SKEW_MS = 30000  -- the clocks of those who sign and of Redis need not agree

-- `until_when`: `ms/ISO time`, or "-".
local function note(job, until_when)
  if until_when == '-' then
    records.clear(job, 'urls_until')
  else
    records.set(job, 'urls_until', until_when)
  end
end

-- Return whether a call for this job would ask for a picture that can't be had any more; then it has failed.
local function fail_if_expired(id, job, step)
  local ms, text = string.match(job.urls_until or '', '^(%d+)/(.+)$')
  if step ~= 'swap' or not ms or tonumber(ms) + SKEW_MS > clock.now then return false end
  records.clear(job, 'next_attempt_at', 'reason')
  jobs.set_state(id, job, TARGET.start, 'next_call', step, 'code', URL_EXPIRED)
  finish_job(id, job, TARGET.fail, string.format(URL_EXPIRED_ENTRY, text))
  return true
end

return {
  note = note,
  fail_if_expired = fail_if_expired,
}
