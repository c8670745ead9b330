"""The attempts at jobs: a message becomes a claim, a claim becomes an outcome, each in one atomic operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swapjobs.store import record
from swapjobs.store.claims import Call, Claim, NotClaimed
from swapjobs.store.grouped_calls import GroupedCalls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swapjobs.contract.lifecycle import Event
    from swapjobs.store.functions import Functions

ScheduleKind = Literal["", "retry", "poll", "final_failure"]


class AttemptStore:
    """What workers do with the jobs of one Redis."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._grouped = GroupedCalls(functions)

    def claim(self, id_: str, lease_s: float) -> Claim | NotClaimed:
        """Claim the job that a message names, and book its call."""
        (answer, *rest), at = self._grouped.call("jobs/claim", id_, int(lease_s * 1000))
        if answer != "go":
            return NotClaimed(answer)
        wait, fence, call, now_ms, text = rest
        return Claim(record.unpack(id_, text), fence, call, float(wait) / 1000, now_ms, answered_at=at)

    def return_message(self, id_: str) -> None:
        """Put a job whose message was taken back to the head of its queue, unclaimed."""
        self._functions.call("jobs/return_message", id_)

    def confirm(self, claim: Claim) -> str:
        """After a wait: `ok` to send, `lost`, or why no call may be made: `paused_manually`, `rate_limit`, `outage`."""
        return str(self._functions.call("jobs/confirm_claim", claim.job.id, claim.fence))

    def record_outcome(
        self,
        claim: Claim,
        event: Event,
        *,
        patch: Mapping[str, str | int],
        entry: str = "",
        schedule: ScheduleKind = "",
        delay_s: float = 0,
        pause_s: float = 0,
        signal: str = "",
        made_at_ms: int = 0,
        next_call_if_uncharged: Call = "query",
        call: str = "",
        call_ms: int = 0,
    ) -> str:
        """Write what an attempt came to; see lua/functions/jobs/record_outcome.lua for the answers.

        `call`, for the metrics: `tool call result`, empty where none was made; `call_ms`: how long it took.
        """
        flat = [item for pair in patch.items() for item in pair]
        times = int(delay_s * 1000), int(pause_s * 1000)
        args: tuple[Any, ...] = (claim.job.id, claim.fence, event, entry, schedule, *times, signal, made_at_ms)
        answer, _ = self._grouped.call("jobs/record_outcome", *args, next_call_if_uncharged, call, call_ms, *flat)
        return str(answer)

    def renew_leases(self, leases: Sequence[tuple[str, int, float]]) -> list[bool]:
        """Renew `(id, fence, seconds)` leases in one round trip; False where the lease is lost."""
        args = [item for id_, fence, lease_s in leases for item in (id_, fence, int(lease_s * 1000))]
        return [answer == "ok" for answer in self._functions.call("jobs/renew_leases", *args)] if args else []
