-- Accepts tasks of products as jobs: record, what comes after the task, and the end of its message, in one step.
-- ARGV, eleven for each task: eight of its job (see jobs/submission), the task's id, what comes after it (JSON, or ""
--   where nothing does), its message
-- Returns for each task what jobs/submission does. The messages of those that are refused or full stay.
local contract = require('contract')
local begin_submission = require('jobs.submission')
local refill = require('queue.refill')
local records = require('records.record')
local continuations = require('webhooks.continuations')
local keys, fleet, UNFINISHED = contract.keys, contract.fleet, contract.UNFINISHED

local ALIAS_MS = 40 * 86400 * 1000

local function call(args)
  local outcomes, accept, finish = {}, begin_submission()
  for i = 1, #args, 11 do
    local outcome, id, task, data = accept(args, i), args[i], args[i + 8], args[i + 9]
    if outcome == 'created' or outcome == 'existing' then
      if task ~= id then redis.call('SET', keys.alias .. task, id, 'PX', fleet.result_ttl_ms + ALIAS_MS) end
      local is_new = data ~= '' and continuations.keep(id, task, data)
      local job = is_new and outcome == 'existing' and records.read(id)
      if job and not UNFINISHED[job.state] then continuations.tell(job.tenant, task, data, id) end
      redis.call('LREM', keys.arriving, -1, args[i + 10])
    end
    outcomes[#outcomes + 1] = outcome
  end
  finish()
  refill.webhooks()
  return outcomes
end

return {flags = {}, call = call}
