"""The life of a job: its states, its events, and the table of legal moves.

Standard library only. The functions in Redis, the worker and the client all read this table; nobody else
compares states. `MOVES` is also written into the Lua module `contract` (`store/library.py`), so there is one table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobState(StrEnum):
    """Where a job is; each says who moves it on."""

    QUEUED = "queued"  # accepted, in its queue or in the ready queue; a worker's claim moves it on
    RUNNING = "running"  # an attempt holds the lease; its worker moves it on, or the dispatcher when the lease ends
    WAITING = "waiting"  # looked at again at next_attempt_at, for a Reason; the dispatcher queues it again
    SUCCEEDED = "succeeded"  # final: what it gave is known
    FAILED = "failed"  # final: error says why; only the user's retry queues it again
    CANCELLED = "cancelled"  # final: by the user, also while running; retry as above
    EXPIRED = "expired"  # final: expires_at passed before success; retry as above


class Reason(StrEnum):
    """Why a job waits."""

    RETRY = "retry"
    RATE_LIMIT = "rate_limit"
    VENDOR_OUTAGE = "vendor_outage"
    VENDOR_PROCESSING = "vendor_processing"


class Event(StrEnum):
    """What happens to a job."""

    START = "start"
    WAIT = "wait"
    HOLD = "hold"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RESCUE = "rescue"
    RETRY = "retry"


_S = JobState
# A lease that ran out queues the job again, yet its attempt may still bring a result. As long as nobody
# else claimed the job that result counts, hence SUCCEED and FAIL from `queued` and `waiting` too. The claim
# counter, not the state, keeps stale attempts out.
UNFINISHED: Final[frozenset[JobState]] = frozenset({_S.QUEUED, _S.WAITING, _S.RUNNING})

MOVES: Final[Mapping[Event, tuple[frozenset[JobState], JobState]]] = {
    Event.START: (frozenset({_S.QUEUED, _S.WAITING}), _S.RUNNING),
    Event.WAIT: (frozenset({_S.RUNNING}), _S.WAITING),
    # Dispatch was paused when the job was claimed: it waits with the fleet, no attempt began.
    Event.HOLD: (frozenset({_S.QUEUED, _S.WAITING}), _S.WAITING),
    Event.SUCCEED: (UNFINISHED, _S.SUCCEEDED),
    Event.FAIL: (UNFINISHED, _S.FAILED),
    Event.CANCEL: (UNFINISHED, _S.CANCELLED),
    Event.EXPIRE: (UNFINISHED, _S.EXPIRED),
    Event.RESCUE: (frozenset({_S.RUNNING}), _S.QUEUED),
    # By the user and nobody else: a new round with new attempts. What succeeded is never done again.
    Event.RETRY: (frozenset({_S.FAILED, _S.CANCELLED, _S.EXPIRED}), _S.QUEUED),
}

# Final stays final, whatever happens by itself: no event but the user's retry leaves these.
FINAL: Final[frozenset[JobState]] = frozenset(JobState) - frozenset().union(
    *(sources for event, (sources, _) in MOVES.items() if event is not Event.RETRY)
)

CELERY_STATE: Final[Mapping[JobState, str]] = {
    _S.QUEUED: "PENDING",
    _S.RUNNING: "STARTED",
    _S.WAITING: "RETRY",
    _S.SUCCEEDED: "SUCCESS",
    _S.FAILED: "FAILURE",
    _S.CANCELLED: "REVOKED",
    _S.EXPIRED: "REVOKED",
}


def after(state: JobState, event: Event) -> JobState | None:
    """Return the state that `event` leads to, or None where `state` does not allow it."""
    sources, target = MOVES[event]
    return target if state in sources else None
