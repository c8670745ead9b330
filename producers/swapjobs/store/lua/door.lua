-- Part: a closed door: nothing at all comes through. That is no limit to be found (learn.lua).
-- needs: traffic, share
local LEAST_KNOCKS_MS = 2000

-- A rate below one call in two seconds would be no knock but sleep.
local function knocks()
  return math.max(T.rate_floor, math.min(T.interval / LEAST_KNOCKS_MS, 1))
end

local function while_shut(refused, began)
  if not refused then
    use_share(math.min(4 * T.learned, T.tried), 'limit')
    if T.learned == T.tried then begin_phase(PHASE.steady) end
  elseif began >= T.phase_from then
    T.learned, T.phase_from = math.max(T.learned / 2, knocks()), now
  end
end

-- Many in a row may be chance where much is refused: each time that it was, it takes more of them.
local function shut()
  T.door_patience = math.min(T.door_patience + 1, 3)
  local before = T.phase == PHASE.less and T.tried or T.learned
  begin_phase(PHASE.shut)
  T.tried, T.phase_from = before, now
  use_share(math.max(T.learned / 2, knocks()), 'shut')
end
