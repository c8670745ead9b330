-- How what is counted goes on: by the minute for a day, by the hour for a month, and by tenant and day for a month. So
-- many fields and no more, however many jobs there are (store/trends.py reads them).
local contract = require('contract')
local clock = require('fleet.clock')
local keys = contract.keys

local HOUR, DAY = 60, 1440  -- in minutes
local MINUTES_KEPT_MS, DAYS_KEPT_MS = 25 * 3600 * 1000, 32 * DAY * 60 * 1000
local MOST_USAGE_FIELDS = 5000

local function new() return {fields = {}, usage = {}} end

local function add_to(sums, key, field, number)
  local fields = sums[key]
  if not fields then
    fields = {}
    sums[key] = fields
  end
  fields[field] = (fields[field] or 0) + number
end

-- `minute` since 1970; what is told of a time too long ago is left out.
local function add(sums, minute, what, number)
  local age = math.floor(clock.now_ms / 60000) - minute
  if age < DAY then
    add_to(sums.fields, keys.minutes .. math.floor(minute / HOUR), minute % HOUR .. ' ' .. what, number)
  end
  if age < 30 * DAY then
    add_to(sums.fields, keys.hours .. math.floor(minute / DAY), math.floor(minute % DAY / HOUR) .. ' ' .. what, number)
  end
end

local function add_usage(sums, minute, tenant, outcome, number)
  add_to(sums.usage, keys.usage .. math.floor(minute / DAY), tenant .. ' ' .. outcome, number)
end

local function write_fields(key, fields, kept_ms)
  for field, number in pairs(fields) do redis.call('HINCRBY', key, field, string.format('%.0f', number)) end
  redis.call('PEXPIRE', key, kept_ms, 'NX')
end

-- Of too many tenants those that come last are counted together, under no name.
local function write_usage(key, fields)
  local number_of_fields = redis.call('HLEN', key)
  for field, number in pairs(fields) do
    if number_of_fields >= MOST_USAGE_FIELDS and redis.call('HEXISTS', key, field) == 0 then
      field = string.match(field, ' .*')
    end
    redis.call('HINCRBY', key, field, string.format('%.0f', number))
    number_of_fields = number_of_fields + 1
  end
  redis.call('PEXPIRE', key, DAYS_KEPT_MS, 'NX')
end

local function write(sums)
  for key, fields in pairs(sums.fields) do
    local by_minute = string.sub(key, 1, #keys.minutes) == keys.minutes
    write_fields(key, fields, by_minute and MINUTES_KEPT_MS or DAYS_KEPT_MS)
  end
  for key, fields in pairs(sums.usage) do write_usage(key, fields) end
end

return {
  new = new,
  add = add,
  add_usage = add_usage,
  write = write,
}
