"""A plain model of a job's life: what each operation must answer, and which changes may happen by themselves."""

from __future__ import annotations

from dataclasses import dataclass

from swapjobs import JobState
from swapjobs.contract.lifecycle import FINAL, Event, after

OBSTACLES = frozenset({"busy", "rate_limit", "paused_manually", "outage", "batch_held"})


@dataclass
class Life:
    """One job. `fence` is the number of its newest claim, which `holder` may still act on."""

    state: JobState = JobState.QUEUED
    fence: int = 0
    expires_at: float | None = None
    lease_until: float = 0.0
    fails_later: bool = False  # a final failure waits until it is sure that it is no outage's

    def claimed(self, fence: int, lease_until: float) -> None:
        """A worker got the job."""
        assert after(self.state, Event.START), f"claimed from {self.state}"
        assert fence > self.fence, "every claim has a fence of its own"
        self.state, self.fence, self.lease_until, self.fails_later = JobState.RUNNING, fence, lease_until, False

    def refused(self, verdict: str) -> None:
        """A message led to no claim."""
        if verdict == "outage":
            self.state = after(self.state, Event.HOLD) or JobState.RUNNING
        else:
            assert verdict in OBSTACLES or verdict in (self.state, JobState.EXPIRED), verdict

    def applied(self, fence: int, event: Event, wake: str, answer: str) -> None:
        """An attempt wrote what it came to; `answer` must be the right one."""
        target = after(self.state, event)
        if fence < self.fence:
            assert answer == "fenced", (self, answer)
        elif target is None:
            paid_anyway = event is Event.SUCCEED and self.state in {JobState.CANCELLED, JobState.EXPIRED}
            told_twice = self.state == {Event.SUCCEED: "succeeded", Event.FAIL: "failed", Event.WAIT: "waiting"}[event]
            assert answer == ("late" if paid_anyway else "ok" if told_twice else self.state), (self, answer)
        elif answer == "uncharged":
            assert event is not Event.SUCCEED
            self.state = JobState.WAITING
        else:
            assert answer == ("failed" if answer == "failed" and wake == "final_failure" else "ok"), (self, answer)
            self.state = JobState.FAILED if answer == "failed" else target
            self.fails_later = wake == "final_failure" and self.state is JobState.WAITING

    def cancelled(self, answer: str) -> None:
        """The user cancelled."""
        assert answer == ("ok" if self.state not in FINAL else self.state)
        self.state = after(self.state, Event.CANCEL) or self.state

    def retried(self, answer: str, fence: int) -> None:
        """The user asked for another round; what the old one still brings must be fenced off."""
        target = after(self.state, Event.RETRY)
        assert answer == ("ok" if target else self.state)
        if target:
            assert fence > self.fence, "what the old round still brings is fenced off"
            self.state, self.fence, self.fails_later = target, fence, False

    def seen(self, state: JobState, now: float) -> None:
        """Take in a state that the dispatcher, or another job's answer, may have brought about by itself."""
        if state == self.state:
            return
        expired = self.expires_at is not None and self.expires_at <= now
        allowed = {
            JobState.QUEUED: self.state is JobState.RUNNING and self.lease_until <= now,
            JobState.EXPIRED: self.state not in FINAL and expired,
            JobState.FAILED: self.state is JobState.WAITING and self.fails_later,
        }
        assert allowed.get(state, False), f"from {self.state} to {state} by itself"
        self.state = state
