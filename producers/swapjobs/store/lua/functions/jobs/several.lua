-- Runs several operations of one worker in one call: claims and outcomes of jobs, or claims and tries of deliveries.
-- What a call costs whatever it does is paid once: the time, the fleet state, the metrics, the refill of the webhooks'
-- ready queue. Else each is as in a call of its own: it sees what those before it wrote, and one that fails does so
-- alone.
-- ARGV: for each its name (one of OPERATIONS), how many arguments it has, and those
-- Returns for each its answer, or the error that it would have raised.
local fleet_state = require('fleet.state')
local metrics = require('fleet.metrics')
local records = require('records.record')

local OPERATIONS = {
  ['jobs/claim'] = require('functions.jobs.claim').call,
  ['jobs/record_outcome'] = require('functions.jobs.record_outcome').call,
  ['deliveries/claim'] = require('functions.deliveries.claim').call,
  ['deliveries/settle'] = require('functions.deliveries.settle').call,
}

-- Runs one; its records are written before the next one reads.
local function run(operation, args)
  records.begin()
  fleet_state.renew_spacing()
  local answer = operation(args)
  records.write()
  return answer
end

-- Returns what was raised, by a command or by Lua, as an answer that Redis gives as an error.
local function error_of(raised)
  return {err = type(raised) == 'table' and raised.err or 'ERR ' .. tostring(raised)}
end

-- Of one that fails Redis keeps what its commands did before, as it does of every function. So the fleet's numbers stay
-- as well, which tell of that (a lease and the call in flight); its records and what it observed are dropped.
local function call(args)
  local answers, i = {}, 1
  while args[i] do
    local last, observed = i + 1 + args[i + 1], metrics.observed_so_far()
    local ended_well, answer = pcall(run, OPERATIONS[args[i]], {unpack(args, i + 2, last)})
    if not ended_well then
      metrics.begin(observed)
      answer = error_of(answer)
    end
    answers[#answers + 1], i = answer, last + 1
  end
  records.begin()  -- nothing is left to write, nor of one that failed
  return answers
end

return {flags = {'allow-oom'}, call = call}
