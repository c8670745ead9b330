-- Begin to do something to all jobs that fit a filter: those that are there now.
-- ARGV: id, kind (retry, cancel, forget), dry (1: only count) or "", tenant or "" for all, batch or "", states (with
--   commas between), error code or "", created from and until (ms, or - and +), tool or "", who wants it
local contract = require('contract')
local clock = require('fleet.clock')
local operation = require('operations.operation')
local keys = contract.keys

local MOST_KEPT = 1000

local function call(args)
  local id, kind, dry, tenant, batch, states, code, from, until_ms, tool, by = unpack(args)
  local at, total = tenant, 0
  if tenant == '' then
    at = operation.next_tenant('') or ''
    for _, name in ipairs(redis.call('SMEMBERS', keys.listed_tenants)) do
      total = total + redis.call('XLEN', keys.index .. name)
    end
  else
    total = redis.call('XLEN', keys.index .. tenant .. (batch ~= '' and ':' .. batch or ''))
  end
  until_ms = until_ms == '+' and clock.now_ms or math.min(tonumber(until_ms), clock.now_ms)
  redis.call('HSET', keys.operation .. id, 'kind', kind, 'dry', dry, 'tenant', tenant, 'batch', batch, 'states', states,
             'code', code, 'tool', tool, 'from', from, 'until', string.format('%.0f', until_ms), 'by', by,
             'created_at', clock.now_ms, 'at', at, 'total', total, 'looked_at', 0, 'changed', 0, 'left', 0)
  if dry == '' then redis.call('ZADD', keys.operations, clock.now_ms, id) end
  redis.call('ZREMRANGEBYSCORE', keys.operations, '-inf', clock.now_ms - operation.KEPT_MS)
  redis.call('ZREMRANGEBYRANK', keys.operations, 0, -MOST_KEPT - 1)
  redis.call('ZADD', keys.schedule, clock.now_ms, 'operation:' .. id)
end

return {flags = {'allow-oom'}, call = call}
