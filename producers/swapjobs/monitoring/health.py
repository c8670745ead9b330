"""Whether all is well with Redis, dispatch, workers, the rate and the webhooks: the judgement of doctor and console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

from swapjobs.monitoring.slot_advice import advise
from swapjobs.monitoring.wording import START_WORKER, TO_DO, rate_text, summary
from swapjobs.store import keys
from swapjobs.store.dispatch import COUNTS
from swapjobs.store.redis_advice import advice
from swapjobs.store.redis_client import in_our_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from swapjobs.contract.dispatch_status import DispatchStatus
    from swapjobs.contract.rate import Rate
    from swapjobs.contract.webhook import Endpoint
    from swapjobs.store.dispatch import TrafficSnapshot
    from swapjobs.store.redis_health import Problem
    from swapjobs.store.store import Store
    from swapjobs.store.worker_usage import Fleet

_MUCH_LOWER: Final = 0.85  # of the limit: more than the rate falls at a chance refusal


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do where it is not as it should be."""

    name: str
    state: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""
    exit_status: int = 1  # when it is a problem
    code: str = ""  # which finding it is, such as dispatch.manual; empty for none


@dataclass(frozen=True)
class Condition:
    """What one look at Redis brought, to be judged.

    Attributes:
        facts: Version, memory and policy of the server.
        problems: What is wrong with it.
        snapshot: How dispatch stands, and how much is queued.
        ready: Messages that wait for a worker to take them.
        fleet: The workers' slots.
        disabled: Webhook endpoints that are disabled.
    """

    facts: Mapping[str, str]
    problems: Sequence[Problem]
    snapshot: TrafficSnapshot
    ready: int
    fleet: Fleet
    disabled: Sequence[Endpoint]

    @classmethod
    def read(cls, store: Store, *, fsync: bool = False) -> Self:
        """Ask Redis; `fsync`: also whether it is fit for producers who wait until jobs are on its disk.

        Raises:
            redis.RedisError: it cannot be asked.
        """
        return cls(
            store.server_facts(),
            store.server_problems(fsync=fsync),
            store.dispatch.inspect(),
            store.dispatch.ready(),
            store.fleet(),
            store.endpoints.disabled(),
        )


def unreachable(error: Exception) -> Check:
    """Return what is to be said where Redis could not be asked."""
    return Check("redis", "problem", in_our_words(error, "cannot be used: "), advice(error), 4, "redis.unreachable")


def judge(condition: Condition, *, rate_limit: Rate | None = None, max_in_flight: int | None = None) -> Iterator[Check]:
    """Say what is well and what is not, in the order in which it would be mended.

    Args:
        condition: What there is.
        rate_limit: SWAPJOBS_RATE_LIMIT of who asks, where that is to be compared with the fleet's.
        max_in_flight: The same of SWAPJOBS_MAX_IN_FLIGHT; without it the fleet's.
    """
    snapshot, facts, fleet = condition.snapshot, condition.facts, condition.fleet
    yield Check("redis", "ok", f"{facts['server']}, memory {facts['memory']}")
    for problem in condition.problems:
        state: Literal["problem", "warning"] = "problem" if problem.fatal else "warning"
        yield Check("redis", state, problem.what, problem.remedy, 4, "redis.unfit")
    if not any("append-only" in problem.what for problem in condition.problems):
        yield Check("persistence", "ok", "append-only file on, policy noeviction")
    yield _dispatch(snapshot.status)
    yield _workers(snapshot)
    yield _rate(rate_limit, snapshot, condition.ready)
    if snapshot.rate_limit and fleet.processes:
        limit = int(snapshot.numbers["max_in_flight"]) if max_in_flight is None else max_in_flight
        slots = advise(fleet, snapshot.rate_limit, limit)
        state_of_slots: Literal["ok", "warning"] = "ok" if slots.fits else "warning"
        yield Check("slots", state_of_slots, slots.found, slots.to_do, code="" if slots.fits else "slots.few")
    yield _webhooks(snapshot, condition.disabled)
    for name, meaning in COUNTS.items():
        yield Check("so far", "ok", f"{snapshot.counts[name]} {meaning}")


def _webhooks(snapshot: TrafficSnapshot, disabled: Sequence[Endpoint]) -> Check:
    numbers = snapshot.numbers
    result = f"{numbers['endpoints']:.0f} endpoints, {numbers['deliveries_pending']:.0f} deliveries pending"
    if not disabled:
        return Check("webhooks", "ok", result)
    first = disabled[0]
    remedy = f"swapjobs webhooks update {first.id} --tenant {first.tenant} --enable"
    why = f"{len(disabled)} disabled, {first.id}: {first.disabled_reason}"
    remedy = f"once the receiver works again: {remedy}"
    return Check("webhooks", "warning", f"{result}; {why}", remedy, code="webhooks.disabled")


def _dispatch(status: DispatchStatus) -> Check:
    if status.reason is None:
        return Check("dispatch", "ok", summary(status))
    return Check("dispatch", "warning", summary(status), TO_DO[status.reason], code=f"dispatch.{status.reason}")


def _workers(snapshot: TrafficSnapshot) -> Check:
    result = ", ".join(f"{count or 'no worker'} for {queue}" for queue, count in snapshot.workers.items())
    if snapshot.status.unattended:
        return Check("workers", "problem", f"{result}, and jobs wait", START_WORKER, code="workers.unattended")
    if not snapshot.workers.get(keys.SWAPS_QUEUE):
        return Check("workers", "warning", result, "swapjobs worker", code="workers.none")
    return Check("workers", "ok", result)


def _rate(mine: Rate | None, snapshot: TrafficSnapshot, ready: int) -> Check:
    theirs = snapshot.rate_limit
    if theirs is None:
        return Check("rate", "warning", "no worker has been here yet", "swapjobs worker", code="workers.never")
    result = f"{rate_text(snapshot.status)}; {ready} messages ready"
    if mine is not None and abs(1 / mine.interval_s - theirs) > 1e-6 / mine.interval_s:
        remedy = f"SWAPJOBS_RATE_LIMIT here says {mine}: make it the same everywhere"
        return Check("rate", "warning", result, remedy, code="rate.differs")
    if snapshot.numbers["rate_factor"] < _MUCH_LOWER:
        remedy = "the vendor refuses calls as too fast: set SWAPJOBS_RATE_LIMIT to what it allows, or ask it for more"
        return Check("rate", "warning", result, remedy, code="rate.lower")
    return Check("rate", "ok", result)
