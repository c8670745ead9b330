-- Forget what refusals taught about the rate: the limit is used in full again, until the next ones.
-- flags: allow-oom
forget()
