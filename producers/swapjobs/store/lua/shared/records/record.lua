-- Records of jobs and of deliveries. Only this module knows how they lie in Redis (store/record.py reads them): each is
-- one string, a line of fields and then its history. A function reads a record once, and it is written once, at the
-- function's end.
local contract = require('contract')
local keys, STATE, IN_HEAD = contract.keys, contract.STATE, contract.RECORD_HEAD

-- The fields that nearly all jobs have stand first, by their place (`HEAD` in store/record.py); others by name.
local FOUR = '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t'
local LINE = '^' .. FOUR .. FOUR .. '([^\t]*)(.*)$'
local read_ones, changed = {}, {}

-- A job's own delivery lies in the job's record; every other one has a record of its own, and an "@" in its id.
local function key_of(id)
  return (string.find(id, '@', 1, true) and keys.delivery or keys.job) .. id
end

local function value(text)
  if text ~= '' then return text end
end

-- What a table holds besides its fields, none of which may have such a name: id, names (of the fields that stand by
-- name), history, text (the record as a whole, until it is changed), ttl_ms.
local function parse(id, text)
  local end_of_line = string.find(text, '\n', 1, true)
  local state, tenant, priority, business_id, fingerprint, created_at, claims, waited_ms, ran_ms, others =
    string.match(string.sub(text, 1, end_of_line - 1), LINE)
  local record = {
    id = id, names = {}, history = string.sub(text, end_of_line + 1), text = text,
    state = value(state), tenant = value(tenant) or contract.DEFAULT_TENANT, priority = value(priority),
    business_id = business_id, fingerprint = fingerprint, created_at = created_at,
    claims = claims == '' and 0 or tonumber(claims), waited_ms = value(waited_ms), ran_ms = value(ran_ms),
  }
  if others ~= '' then
    for name, text_of in string.gmatch(others, '\t([%w_]+)=([^\t]*)') do
      record[name], record.names[#record.names + 1] = text_of, name
    end
  end
  return record
end

-- Returns a record as it lies in Redis, for a look at many; nil where there is none.
local function peek(id)
  local text = redis.call('GET', key_of(id))
  return text and parse(id, text) or nil
end

-- Running jobs and pending deliveries as this process wrote them: the outcome finds most of them as the claim left
-- them, and need not take the text apart. Two tables, of which the older one is given up when so many were put into
-- the younger one.
local KEPT = 512
local kept, kept_before, number_kept = {}, {}, 0

local function keep(record)
  if number_kept == KEPT then kept, kept_before, number_kept = {}, kept, 0 end
  record.ttl_ms, record.call, record.call_ms = nil, nil, nil  -- were for this call alone
  kept[record.id], number_kept = record, number_kept + 1
end

local function give_up(id)
  kept[id], kept_before[id] = nil, nil
end

-- Returns the record whose text lies in Redis now, as it was written or taken apart.
local function find(id)
  local text, record = redis.call('GET', key_of(id)), kept[id] or kept_before[id]
  if not text then return false end
  return record and record.text == text and record or parse(id, text)
end

-- Returns the record, always the same one in one call; nil where there is none. Fields that are not set are nil, and
-- those that only the call knows (`call`, `call_ms`) are not kept.
local function read(id)
  local record = read_ones[id]
  if record == nil then
    record = find(id)
    read_ones[id] = record
  end
  return record or nil
end

local function exists(id)
  return read_ones[id] or redis.call('EXISTS', key_of(id)) == 1
end

local function note_change(record)
  changed[record.id], record.text = record, nil
end

-- A whole number as it is: `..` would take three times as long, and round it to 14 digits.
local function in_text(number)
  return number % 1 == 0 and string.format('%d', number) or tostring(number)
end

-- Leaves the fields as they will be read again: all but `claims` are text.
local function pack(record)
  local tenant, claims, names = record.tenant, record.claims, record.names
  local parts = {
    record.state or '', tenant == contract.DEFAULT_TENANT and '' or tenant, record.priority or '',
    record.business_id or '', record.fingerprint or '', record.created_at, claims == 0 and '' or in_text(claims),
    record.waited_ms or '', record.ran_ms or '',
  }
  for i = 1, #names do
    local name = names[i]
    local field = record[name]
    if type(field) == 'number' then
      field = in_text(field)
      record[name] = field
    end
    parts[9 + i] = name .. '=' .. field
  end
  return table.concat(parts, '\t') .. '\n' .. record.history
end

-- Returns the record as it is to lie in Redis.
local function text_of(record)
  if not record.text then record.text = pack(record) end
  return record.text
end

-- Sets fields, given as name, value, name, value.
local function set(record, ...)
  local given = {...}
  for i = 1, #given, 2 do
    local name = given[i]
    if record[name] == nil and not IN_HEAD[name] then record.names[#record.names + 1] = name end
    record[name] = given[i + 1]
  end
  note_change(record)
end

-- A span of the head, in ms.
local function set_span(record, name, ms)
  record[name] = in_text(ms)
  note_change(record)
end

local function remove(names, name)
  for i, other in ipairs(names) do
    if other == name then return table.remove(names, i) end
  end
end

-- Takes fields away.
local function clear(record, ...)
  for _, name in ipairs({...}) do
    if record[name] ~= nil then
      record[name] = nil
      remove(record.names, name)
      note_change(record)
    end
  end
end

-- Adds to a number, and returns it.
local function increase(record, name, by)
  local number = (tonumber(record[name]) or 0) + by
  set(record, name, number)
  return number
end

-- Begins a record; `fields` are those of the head.
local function create(id, fields, history)
  local record = fields
  record.id, record.names, record.history, record.claims, record.ttl_ms = id, {}, history, 0, false
  record.created_at = in_text(record.created_at)
  read_ones[id], changed[id] = record, record
  return record
end

-- Adds a line to the history.
local function append(record, line)
  if line == '' then return end
  record.history = record.history .. '\n' .. line
  note_change(record)
end

-- Replaces the history.
local function rewrite(record, history)
  record.history = history
  note_change(record)
end

-- Lets the record expire after so many ms; never, with `false`.
local function expire(record, ttl_ms)
  record.ttl_ms = ttl_ms
  note_change(record)
end

-- Returns for how many ms more the record is kept as it lies; below 0 where it is not to expire, or not there yet.
local function time_left(record)
  return redis.call('PTTL', key_of(record.id))
end

local function delete(record)
  redis.call('DEL', key_of(record.id))
  read_ones[record.id], changed[record.id] = false, nil
  give_up(record.id)
end

-- Forgets what an earlier call has read, and what one that failed has left.
local function begin()
  if next(read_ones) then read_ones = {} end
  if next(changed) then changed = {} end
end

local function write()
  for id, record in pairs(changed) do
    if record.ttl_ms then
      redis.call('SET', key_of(id), text_of(record), 'PX', record.ttl_ms)
    elseif record.ttl_ms == false then
      redis.call('SET', key_of(id), text_of(record))
    else
      redis.call('SET', key_of(id), text_of(record), 'KEEPTTL')
    end
    local goes_on = record.state == STATE.running or record.delivery_state == 'pending'
    if goes_on then keep(record) else give_up(id) end
  end
end

return {
  peek = peek,
  read = read,
  exists = exists,
  text_of = text_of,
  set = set,
  set_span = set_span,
  clear = clear,
  increase = increase,
  create = create,
  append = append,
  rewrite = rewrite,
  expire = expire,
  time_left = time_left,
  delete = delete,
  begin = begin,
  write = write,
}
