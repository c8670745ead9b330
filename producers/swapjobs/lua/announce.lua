-- Part: an event to whoever wants to be told of it. Stands in until deliveries are kept apart from jobs: it only notes it.
-- needs: traffic
local function announce(tenant, event, subject, data, url)
  redis.call('RPUSH', 'swapjobs:announced', cjson.encode({tenant = tenant, event = event, subject = subject, data = data, url = url}))
end
