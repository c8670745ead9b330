"""What happened to a job, one step after the other: read out of its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.timestamps import from_ms
from swapjobs.store.attempt_log import calls_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from swapjobs.store.record import Record

_SHORTEST_WAIT_S: Final = 0.05  # what is less is not worth a line


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, or that is going on.

    Attributes:
        kind: `submitted`, `waited`, `attempt`, `retried`, `calling`, `ended`.
        at: When it began.
        seconds: How long it took, where that is known.
        number: Of an attempt.
        round: To which of the user's rounds it belongs, from 1.
        outcome: `succeeded` or `failed`, of an attempt; the state, of the end; for what was waited, of a wait.
        code, message, status, worker: Of an attempt: why it failed, the vendor's words, HTTP status, who made it.
        cost: What the vendor charged, where a price is known.
    """

    kind: str
    at: datetime
    seconds: float | None = None
    number: int = 0
    round: int = 1
    outcome: str = ""
    code: str = ""
    message: str = ""
    status: int | None = None
    worker: str = ""
    cost: float | None = None


def steps_of(job: Record, prices: Mapping[str, float]) -> list[Step]:
    """Return all steps, oldest first."""
    return list(_steps(job, prices.get(job.tool)))


def cost_of(job: Record, prices: Mapping[str, float]) -> float | None:
    """Return what is known to have been charged for the job; None where no price is known."""
    price = prices.get(job.tool)
    if price is None:
        return None
    pictures = sum(line["kind"] == "result" for calls in calls_of(job.history) for line in calls)
    return float(price * max(pictures, job.number("billed")))


def _steps(job: Record, price: float | None) -> Iterator[Step]:
    created_ms = job.number("created_at")
    yield Step("submitted", from_ms(created_ms))
    last_ms, why = created_ms, "turn"
    retries = [line for line in job.history if line.get("kind") == "retry"]
    for round_, calls in enumerate(calls_of(job.history), 1):
        if round_ > 1:
            last_ms, why = retries[round_ - 2]["at"], "turn"
            yield Step("retried", from_ms(last_ms), round=round_)
        for number, line in enumerate(calls, 1):
            yield from _wait(last_ms, line["at"], why, round_)
            yield _attempt(line, number, round_, price)
            last_ms, why = line["at"] + line.get("duration_ms", 0), "pause"
    state = JobState(job.fields["state"])
    if state in FINAL and (finished := job.time("finished_at")):
        yield Step("ended", finished, outcome=state, round=len(retries) + 1)
    elif job.fields.get("next_call") == "query" or state is JobState.RUNNING:
        since = max(job.number("sent_at"), job.number("started_at"), last_ms)
        yield Step("calling", from_ms(since), round=len(retries) + 1)


def _wait(from_: int, until: int, why: str, round_: int) -> Iterator[Step]:
    seconds = (until - from_) / 1000
    if seconds >= _SHORTEST_WAIT_S:
        yield Step("waited", from_ms(from_), seconds, outcome=why, round=round_)


def _attempt(line: Mapping[str, Any], number: int, round_: int, price: float | None) -> Step:
    is_result = line["kind"] == "result"
    return Step(
        "attempt",
        from_ms(line["at"]),
        line["duration_ms"] / 1000 if "duration_ms" in line else None,
        number=number,
        round=round_,
        outcome="succeeded" if is_result else "failed",
        code=str(line.get("last_code") or line.get("code") or ""),
        message=str(line.get("last_message") or line.get("message") or ""),
        status=line.get("status", 200 if is_result else None),
        worker=str(line.get("worker") or ""),
        cost=price if is_result or line.get("code") == ErrorCode.BAD_RESPONSE else None,
    )
