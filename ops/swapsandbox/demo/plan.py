"""What the demo submits, and what must be true afterwards."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from swapjobs import JobState
from swapjobs.contract.vendor_tools.swaps import FaceFusion, RoopV2
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swapjobs import Job

_RESTORED, _SEVERAL = name_of(RoopV2), name_of(FaceFusion)
COLLINS, HOPPER, GROUP, CAT = "collins.png", "hopper.jpg", "group.jpg", "chelsea.png"


@dataclass(frozen=True)
class Plan:
    """One job of the demo; `fault` is what the sandbox is told to do to its first call."""

    key: str
    title: str
    sources: tuple[str, ...]
    target: str
    tool: str = DEFAULT_TOOL
    fields: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None
    fails_with: str | None = None
    failed_attempts: int = 0
    calls: int = 1


PLANS: Final = (
    Plan("collins-on-hopper", "Collins' face on Hopper's portrait", (COLLINS,), HOPPER),
    Plan("hopper-on-collins", "Hopper's face on Collins' portrait", (HOPPER,), COLLINS),
    Plan(
        "restored",
        "V2.0: the face restored as well (fidelity_weight 0.2)",
        (COLLINS,),
        HOPPER,
        tool=_RESTORED,
        fields={"fidelity_weight": 0.2},
    ),
    Plan("both-faces", "Multiple Face Swap: two sources onto a group", (HOPPER, COLLINS), GROUP, tool=_SEVERAL),
    Plan(
        "after-503",
        "The vendor said 503 once: tried again, one failed attempt",
        (HOPPER,),
        GROUP,
        tool=_SEVERAL,
        fields={"face_idx": 1},
        fault="http_503:count=1",
        failed_attempts=1,
        calls=2,
    ),
    Plan(
        "after-429",
        "The vendor said 429, Retry-After 2 s: the fleet paused, nothing charged",
        (COLLINS,),
        GROUP,
        tool=_SEVERAL,
        fields={"face_idx": 2},
        fault="http_429:retry_after=2,count=1",
        calls=2,
    ),
    Plan("no-face", "A cat: this job must fail", (HOPPER,), CAT, fails_with="no_face", failed_attempts=1),
)


@dataclass(frozen=True)
class Finished:
    """A job of the demo at its end; `result` is the name of the downloaded picture."""

    plan: Plan
    job: Job
    result: str | None
    picture: bytes | None

    @property
    def queued_s(self) -> float:
        """Seconds from submit to the first claim."""
        return (self.job.started_at - self.job.created_at).total_seconds() if self.job.started_at else 0.0

    @property
    def worked_s(self) -> float:
        """Seconds from the first claim to the end, waits included."""
        if not (self.job.started_at and self.job.finished_at):
            return 0.0
        return (self.job.finished_at - self.job.started_at).total_seconds()


def failed_checks(
    finished: Sequence[Finished],
    pictures: Mapping[str, bytes],
    stats: Mapping[str, Any],
    tasks: Mapping[str, Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Yield what is not as it must be: nothing, when the demo held."""
    for item in finished:
        yield from (f"{item.plan.key}: {problem}" for problem in _job_problems(item, pictures, tasks))
    if stats["duplicates"]:
        yield f"the vendor billed {stats['duplicates']} jobs twice"
    by_job = {event["job_id"]: event for event in events}
    for item in finished:
        event = by_job.get(item.job.id)
        if event is None:
            yield f"{item.plan.key}: the webhook did not arrive"
        elif not event["verified"]:
            yield f"{item.plan.key}: the webhook's signature is not right"
        elif event["type"] != f"swap.{item.job.state}":
            yield f"{item.plan.key}: the webhook told {event['type']}"


def _job_problems(
    item: Finished, pictures: Mapping[str, bytes], tasks: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    plan, job = item.plan, item.job
    calls = tasks.get(job.business_task_id, {}).get("calls", 0)
    if calls != plan.calls:
        yield f"the vendor was called {calls} times, not {plan.calls}"
    if job.failed_attempts != plan.failed_attempts:
        yield f"{job.failed_attempts} failed attempts, not {plan.failed_attempts}"
    if plan.fails_with:
        if job.state is not JobState.FAILED or job.error is None or job.error.code != plan.fails_with:
            yield f"must fail with {plan.fails_with}, is {job.state} ({job.error})"
        return
    if job.state is not JobState.SUCCEEDED or item.picture is None:
        yield f"must succeed, is {job.state} ({job.error})"
        return
    with Image.open(io.BytesIO(item.picture)) as result, Image.open(io.BytesIO(pictures[plan.target])) as target:
        if result.size != target.size:
            yield f"the result measures {result.size}, the target {target.size}"
        elif result.convert("RGB").tobytes() == target.convert("RGB").tobytes():
            yield "the result is the target unchanged"
