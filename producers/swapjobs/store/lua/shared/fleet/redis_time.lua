-- Returns Redis' own clock, in milliseconds with a fraction. Every time in the records comes from it.
return function()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end
