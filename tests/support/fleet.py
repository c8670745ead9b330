"""A fleet of real workers under test: how to start one, what to give it to do, and how all must stand at the end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.processes import Sandbox
    from swapjobs.store.store import Store

WORKER: Final = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n")


def submit(client: SwapClient, count: int) -> list[str]:
    """Submit new jobs and return their ids."""
    return [str(item.id) for item in client.submit_many(make_request().model_dump() for _ in range(count))]


def in_flight(vendor: Sandbox, count: int) -> None:
    """Wait until so many calls are under way at the vendor."""
    wait_until(lambda: vendor.get("stats")["in_flight"] == count, what=f"{count} calls under way")


def all_succeeded(client: SwapClient, ids: Sequence[str], *, deadline_s: float = 30) -> None:
    """Wait until every job has its picture."""

    def states() -> Counter[JobState]:
        return Counter(client.get(id_).state for id_ in ids)

    wait_until(lambda: states()[JobState.SUCCEEDED] == len(ids), deadline_s=deadline_s, what=f"{len(ids)} succeeded")


def all_is_well(store: Store, vendor: Sandbox, ids: Sequence[str]) -> None:
    """Check that every job was paid once, and that nothing of any attempt is left over."""
    stats = vendor.get("stats")
    assert (stats["billed"], stats["duplicates"]) == (len(ids), 0), stats
    assert store.dispatch.status().in_flight == 0
    assert not leases(store)


def leases(store: Store) -> list[str]:
    """Return the jobs that an attempt holds."""
    members = (str(member) for member in store.redis.zrange(keys.schedule(), 0, -1))
    return [member.removeprefix("lease:") for member in members if member.startswith("lease:")]


def count(store: Store, what: str) -> int:
    """Return one of the fleet's counters."""
    return int(store.redis.hget(keys.counts(), what) or 0)
