"""The fleet state: the fleet's limits and what has been used of them, as two strings of numbers in Redis.

Every function reads both at its beginning and writes what it changed back at its end, so they are packed as IEEE 754
doubles in the order of `TRAFFIC` and of `STATE`: a fifth of what a hash costs. Most calls change the first alone.
Functions know the numbers by name (`fleet/state.lua`); for people there are `swapjobs status`, `swapjobs doctor` and
`swapjobs metrics`.

A newer version may append fields to either and must not do anything else: an older one that runs beside it keeps what
it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.settings import WorkerSettings

# Why the breaker paused dispatch: `tripped` is the place in this list; 0: it did not.
OUTAGES: Final = ("", "vendor_outage", "credentials_rejected", "quota_exhausted")

# What the rate learns from: `T.phase` is the place in this list.
PHASES: Final = ("steady", "sample", "less", "more", "shut")
# Why the rate is below the limit: `T.learned_why` is the place in this list; 0: it is not.
RATE_REASONS: Final = ("", "limit", "test", "shut")

MAX_PAUSE_MS: Final = 3_600_000  # the longest pause that a Retry-After can bring

# Name and value before anybody wrote one. Times and spans are milliseconds; what is either so or not is 1 or 0.
# What nearly every call changes:
TRAFFIC: Final[Mapping[str, float]] = {
    # The rate: theoretical arrival times (GCRA).
    "arrival": 0,
    "query_arrival": 0,
    "bulk_arrival": 0,
    # Calls in flight: booked or made, and not answered yet.
    "in_flight": 0,
    "bulk_in_flight": 0,
    # Queues and ready queues.
    "sequence": 0,
    "served_interactive": 0,
    "served_bulk": 0,
    "served_webhooks": 0,
    "claimed_swaps": 0,
    "claimed_webhooks": 0,
    "pace_swaps": 1000,
    "pace_webhooks": 1000,
    "deliveries_pending": 0,
    "spare_messages": 0,  # so many more may be claimed before the ready queues need a look
    "state_version": 0,  # counts the changes of `STATE`: while it is known, that need not be read
    # What the breaker has seen.
    "bucket": 0,
    "answers": 0,
    "answers_before": 0,
    "streak": 0,
    # What the rate learns from (`vendor/adaptive_rate.lua`).
    "phase_answers": 0,
    "phase_refused": 0,
    "evidence": 0,
    "in_a_row": 0,
    "later": 0,
    "debt": 0,
    "known": 0,
}
# What is set, and what changes seldom:
# Name and value before anybody wrote one. Times and spans are milliseconds; what is either so or not is 1 or 0.
STATE: Final[Mapping[str, float]] = {
    # The limits, which workers write at start (`DispatchStore.set_limits`).
    "limits": 0,  # whether any worker has been here
    "interval": 200,  # from one call to the next, at the full rate
    "burst": 1,
    "horizon": 1000,
    "query_interval": 0,  # 0: queries share the rate
    "max_in_flight": 0,  # 0: no limit
    "bulk_share": 1,
    "rate_floor": 0.05,
    "max_attempts": 6,
    "window": 30_000,
    "failures": 5,
    "share": 0.5,
    "remembered": 600_000,
    "probe_most": 5000,
    "ramp": 5000,
    # What the rate has learned from refusals (more of it at the end): this share of it is used. `cut_at`: since when
    # for the reason `learned_why`.
    "rate_factor": 1,
    "rate_since": 0,
    # Why no call may be made.
    "paused_until": 0,
    "paused_manually": 0,
    "tripped": 0,
    "tripped_at": 0,
    "reset_at": 0,
    "probe_at": 0,
    "probe_gap": 0,
    # What the breaker knows.
    "refusals": 0,
    # Queues.
    "tenants": 0,  # how many have limits of their own
    # The server and its memory.
    "memory_full": 0,
    "epoch": 0,
    "epoch_at": 0,
    "known_until": 0,
    "unverified": 0,
    "dispatched_at": 0,
    "grace_until": 0,
    "batches_held": 0,  # how many batches are paused or being cancelled
    # Webhooks.
    "webhook_slots": 16,  # a limit like those above
    "endpoints": 0,
    # How the rate learns (`vendor/adaptive_rate.lua`).
    "rate_reason": 0,
    "phase": 0,
    "phase_from": 0,  # calls that are made from then on count
    "phase_began": 0,
    "noise": 0,  # the share that is refused at any rate
    "refused_share": 0,
    "shut_patience": 0,
    "tried": 1,  # the share that is tried, or to which it may go back
    "tried_until": 0,
    "tried_calls": 0,
    "bold": 0,
    "ceiling": 0,
    "stride": 1,
    "trials": 0,
    "doubt_at": 0,
    "restored_until": 0,  # jobs created before this may have been sent before Redis was restored from a backup
}

FIELDS: Final[Mapping[str, float]] = {**TRAFFIC, **STATE}


def limits_of(settings: WorkerSettings) -> dict[str, float]:
    """Return the limits as the settings have them, under their names in `STATE`."""
    query = settings.query_rate_limit
    return {
        "limits": 1,
        "interval": settings.rate_limit.interval_s * 1000,
        "burst": settings.rate_burst,
        "horizon": 1000,
        "query_interval": query.interval_s * 1000 if query else 0,
        "max_in_flight": settings.max_in_flight,
        "bulk_share": settings.bulk_share,
        "rate_floor": settings.rate_floor,
        "max_attempts": settings.max_attempts,
        "window": settings.breaker_window_s * 1000,
        "failures": settings.breaker_failures,
        "share": settings.breaker_share,
        # long enough for so many calls that hang, one after the other
        "remembered": int(2000 * settings.breaker_failures * max(settings.call_timeout_s, 30)),
        "probe_most": settings.breaker_probe_s * 1000,
        "ramp": settings.breaker_ramp_s * 1000,
        "webhook_slots": settings.webhook_concurrency,
    }
