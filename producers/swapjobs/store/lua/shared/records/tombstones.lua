-- What is left of a job whose record has expired. Many share a hash, so that one takes 36 bytes; as a key of its own it
-- would take 135. Each says until which Unix day it stays, its generation and its tenant. The dispatcher sweeps those
-- whose day is over, and a hash to which nothing is added any more expires as a whole.
local contract = require('contract')
local clock = require('fleet.clock')
local fleet_state = require('fleet.state')
local keys = contract.keys

local DAY_MS = 86400 * 1000
local KEPT_MS = 40 * DAY_MS  -- after the record
local PREFIX = 2  -- characters of the id that choose the hash: 1,024 of them
local SWEPT_AT_ONCE = 200
local ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
local lasts = {}
local number, key, cursor = nil, '', '0'  -- where the sweep stands, in this server process

-- Lets a hash live until then, a day more at a time. Of most this server process knows that they do, as long as its
-- data are the same.
local function keep(hash, until_ms)
  if lasts.emptied ~= fleet_state.emptied then lasts = {emptied = fleet_state.emptied} end
  if (lasts[hash] or 0) >= until_ms then return end
  if redis.call('PTTL', hash) >= until_ms - clock.now_ms then
    lasts[hash] = until_ms
  else
    redis.call('PEXPIRE', hash, until_ms - clock.now_ms + DAY_MS)
    lasts[hash] = until_ms + DAY_MS
  end
end

-- Remembers a job that ended, as long as its record and 40 days more.
local function bury(job, ttl_ms)
  local hash, kept_ms = keys.tombstones .. string.sub(job.id, 1, PREFIX), ttl_ms + KEPT_MS
  local text = math.ceil((clock.now_ms + kept_ms) / DAY_MS)
  local is_default = job.tenant == contract.DEFAULT_TENANT
  if job.generation or not is_default then text = text .. ' ' .. (job.generation or 1) end
  if not is_default then text = text .. ' ' .. job.tenant end
  redis.call('HSET', hash, string.sub(job.id, PREFIX + 1), text)
  keep(hash, clock.now_ms + kept_ms)
end

-- Returns the generation that a job of this id had last; nil where none ended.
local function generation_of(id)
  local text = redis.call('HGET', keys.tombstones .. string.sub(id, 1, PREFIX), string.sub(id, PREFIX + 1))
  return text and tonumber(string.match(text, '^%d+ (%d+)') or 1) or nil
end

-- Goes on to the next hash; where it begins is chance, so that none is always the last one.
local function go_on()
  number = ((number or math.floor(clock.now / 1000)) + 1) % (#ALPHABET * #ALPHABET)
  local first, second = math.floor(number / #ALPHABET) + 1, number % #ALPHABET + 1
  key = keys.tombstones .. string.sub(ALPHABET, first, first) .. string.sub(ALPHABET, second, second)
end

-- Looks at some, and takes those away whose day is over. Once in a second, so that each has its turn within hours.
local function sweep()
  if cursor == '0' then go_on() end
  local answer, today, over = redis.call('HSCAN', key, cursor, 'COUNT', SWEPT_AT_ONCE), clock.now_ms / DAY_MS, {}
  cursor = answer[1]
  for i = 1, #answer[2], 2 do
    if tonumber(string.match(answer[2][i + 1], '^%d+')) < today then over[#over + 1] = answer[2][i] end
  end
  if over[1] then redis.call('HDEL', key, unpack(over)) end
end

return {
  bury = bury,
  generation_of = generation_of,
  sweep = sweep,
}
