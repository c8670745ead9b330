-- Close the line by hand; closed already, it stays closed since then.
-- flags: allow-oom
if T.held == 0 then T.held = now_ms end
