-- How what is counted goes on: by the minute for a day, by the hour for a month, and by tenant and day for a month. So
-- many fields and no more, however many jobs there are (store/trends.py reads them).
local contract = require('contract')
local clock = require('fleet.clock')
local keys = contract.keys

local HOUR, DAY = 60, 1440  -- in minutes
local MINUTES_KEPT_MS, DAYS_KEPT_MS = 25 * 3600 * 1000, 32 * DAY * 60 * 1000
local MOST_USAGE_FIELDS = 5000

-- What is to be added: of hours by the minute, of days by the hour, and of days by the tenant.
local function new() return {minutes = {}, hours = {}, usage = {}} end

local function fields_of(sums, time)
  local fields = sums[time]
  if not fields then
    fields = {}
    sums[time] = fields
  end
  return fields
end

local function add_to(fields, field, number)
  fields[field] = (fields[field] or 0) + number
end

-- `minute` since 1970; what is told of a time too long ago is left out.
local function add(sums, minute, what, number)
  local age = math.floor(clock.now_ms / 60000) - minute
  local hour, day = math.floor(minute / HOUR), math.floor(minute / DAY)
  if age < DAY then add_to(fields_of(sums.minutes, hour), minute % HOUR .. ' ' .. what, number) end
  if age < 30 * DAY then add_to(fields_of(sums.hours, day), hour % 24 .. ' ' .. what, number) end
end

-- Returns how many there are of each `tenant outcome` on the day of a minute, to be added to.
local function usage_of(sums, minute)
  return fields_of(sums.usage, math.floor(minute / DAY))
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
    redis.call('HINCRBY', key, field, number)
    number_of_fields = number_of_fields + 1
  end
  redis.call('PEXPIRE', key, DAYS_KEPT_MS, 'NX')
end

local function write(sums)
  for hour, fields in pairs(sums.minutes) do write_fields(keys.minutes .. hour, fields, MINUTES_KEPT_MS) end
  for day, fields in pairs(sums.hours) do write_fields(keys.hours .. day, fields, DAYS_KEPT_MS) end
  for day, fields in pairs(sums.usage) do write_usage(keys.usage .. day, fields) end
end

return {
  new = new,
  add = add,
  usage_of = usage_of,
  write = write,
}
