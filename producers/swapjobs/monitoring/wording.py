"""How dispatch stands in plain words, for the command line and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from swapjobs.contract.dispatch_status import DispatchStatus, PauseReason, RateReason

# What a person has to do while dispatch is paused.
TO_DO: Final[dict[PauseReason, str]] = {
    "manual": "swapjobs resume",
    "rate_limit": "nothing: the vendor asked for a pause, and work goes on after it",
    "vendor_outage": "nothing: jobs wait, and go on once the vendor answers a probe",
    "credentials_rejected": "correct SWAPJOBS_API_KEY_*, restart workers, then swapjobs resume",
    "quota_exhausted": "get new quota from the vendor, then swapjobs resume",
}
START_WORKER: Final = "start one: swapjobs worker; one that runs and is not seen hangs: restart it"
# What refusals taught about the rate.
RATE_REASONS: Final[dict[RateReason, str]] = {
    "limit": "fewer calls are refused at this rate, so the vendor allows less than the limit",
    "test": "calls are refused: it is being found out whether a lower rate makes a difference",
    "shut": "nothing comes through: one knock now and then, until a call does",
}
_LARGEST: Final = {"s": 90, "min": 90, "h": 48}  # of each unit, before the next one is used
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "days": 86_400}


def rate_text(status: DispatchStatus) -> str:
    """Return how fast calls may be made, in plain words."""
    limit = per_time(status.rate_limit)
    return limit if status.rate >= status.rate_limit * 0.9999 else f"{per_time(status.rate)} now, of {limit}"


def per_time(per_s: float) -> str:
    """Return a rate with two or three digits, in the unit that says it best."""
    for unit, seconds in _SECONDS.items():
        if per_s * seconds >= 1 or unit == "h":
            return f"{float(f'{per_s * seconds:.3g}'):g}/{unit}"
    raise AssertionError


def summary(status: DispatchStatus) -> str:
    """Return the state in plain words, without what is queued."""
    return "; ".join([_state(status), *(f"no worker for {queue}" for queue in status.unattended)])


def _state(status: DispatchStatus) -> str:
    if status.state == "running":
        full = status.full_rate_at
        return f"running; the full rate is back in {span(status, full)}" if full else "running"
    if status.resumes_at:
        at, left = clock(status, status.resumes_at), span(status, status.resumes_at)
        return f"paused until {at} (in {left}): {status.reason}"
    since = status.since
    paused = f"paused since {clock(status, since)} ({span(status, since)}): " if since else "paused: "
    if status.reason == "manual":
        return f"{paused}by an operator"
    if status.probing:
        return f"{paused}{status.reason}; a probe is under way"
    if status.next_probe_at and status.next_probe_at > status.as_of:
        return f"{paused}{status.reason}; next probe in {span(status, status.next_probe_at)}"
    return f"{paused}{status.reason}; a probe is due"


def clock(status: DispatchStatus, time: datetime) -> str:
    """Return the time of day, with the date where it is another day's."""
    return f"{time:%H:%M:%S} UTC" if time.date() == status.as_of.date() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def span(status: DispatchStatus, time: datetime) -> str:
    """Return how far away a time is, in the unit that says it best."""
    seconds = abs((time - status.as_of).total_seconds())
    unit = next((unit for unit, limit in _LARGEST.items() if seconds <= limit * _SECONDS[unit]), "days")
    return f"{seconds / _SECONDS[unit]:.0f} {unit}"
