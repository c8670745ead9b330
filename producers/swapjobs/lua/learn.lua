-- Part: the rate learns. A call that is refused as too fast lowers it for the whole fleet, calls that come through raise
-- it again: fast up to where it was safe before, then slowly, to find out whether the vendor allows more by now, and
-- faster the longer that goes well.
-- needs: traffic
local CUT, SHUT, FAST, SLOW, BOLDER = 0.92, 0.5, 1.05, 0.0003, 200

local function came_through()
  T.passed = T.passed + 1
  if T.learned >= 1 then return end
  local growth = T.learned < T.learned_safe and FAST or 1 + SLOW * (1 + T.passed / BOLDER)
  T.learned = math.min(T.learned * growth, 1)
end

-- `began`: when that call was made. One of before the last cut tells nothing of the rate that holds since.
local function was_too_fast(began)
  if began < T.cut_at and T.cut_at <= now then return end
  if T.passed > 0 then
    T.learned = T.learned * CUT
    T.learned_safe = T.learned
  else
    T.learned = T.learned * SHUT  -- nothing comes through at all: that is no limit to be found, but a closed door
  end
  T.learned = math.max(T.learned, T.rate_floor)
  T.cut_at, T.passed = now_ms, 0
end
