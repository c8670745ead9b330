-- Forget what refusals taught about the rate: the limit is used in full again, until the next ones.
local rate_share = require('vendor.rate_share')

local function call()
  rate_share.forget()
end

return {flags = {'allow-oom'}, call = call}
