"""No window of the fleet's calls is over the limit, seen from the vendor's side, by the kernel's clock.

What can be said without a doubt, and is asserted without slack for slow machines: the bookings keep the limit in every
window, and no call leaves before its booking. How late it leaves depends on the machine: a slot is given up after
`MAX_LATENESS_S`, but a process may be stopped between that look and the call. So windows of arrivals are held against
`rate x (T + lateness) + burst` with room for that; what the excess really is, `ops/bench/rate.py` measures.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from support.builders import wait_until
from support.fleet import WORKER, submit
from support.paths import ROOT
from swapjobs.settings import Rate
from swapsandbox.processes.redis_server import free_port
from swapsandbox.vendor.rate_limit import most_in_window
from swapworker.attempt.executor import MAX_LATENESS_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import Program
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

STUB = ROOT / "ops" / "bench" / "stub.py"
# Bookings are kept in whole ms, and the clocks of sleeping and of the record may drift apart a little.
ROUNDING_S = 0.002
# A process that gets no CPU between its last look at the clock and the call. A fleet without a limit is far beyond it.
STALL_S = 0.4
# 422 is final and its record keeps the time of the booking.
REFUSAL = 422


class Stub:
    """The benchmarks' vendor, which notes when each call arrived."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=10)

    def is_up(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._http.put("/_stub/mode", json={"status": REFUSAL, "latency_ms": 10}).is_success
        return False

    def arrivals(self) -> dict[str, float]:
        """Return when the call with each business id arrived."""
        calls = self._http.get("/_stub/calls").json()
        assert len({id_ for _, _, id_ in calls}) == len(calls), "a job was sent twice"
        return {id_: at for at, _, id_ in calls}

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub(port := free_port())
    with subprocess.Popen([sys.executable, str(STUB), str(port)]) as process:
        try:
            wait_until(stub.is_up, what="the stub answers")
            yield stub
        finally:
            stub.close()
            process.terminate()


@pytest.fixture
def fleet(program: Callable[..., Program], stub: Stub) -> Callable[[int, Rate], list[Program]]:
    """Start so many workers at this rate."""

    def start(count: int, rate: Rate) -> list[Program]:
        settings = {"SWAPJOBS_API_URL": stub.url, "SWAPJOBS_RATE_LIMIT": rate, "SWAPJOBS_CONCURRENCY": "32"}
        workers = [program(*WORKER, f"w{number}@%h", **settings) for number in range(count)]
        return [worker.wait_for("ready.", deadline_s=60) for worker in workers]

    return start


def limit_kept(times: list[float], rate: Rate, lateness_s: float) -> None:
    """Check every window from one call to another, and some whole ones as a vendor may count them."""
    times = sorted(times)
    for first, start in enumerate(times):
        for calls, end in enumerate(times[first:], 1):
            assert calls <= (end - start + lateness_s) / rate.interval_s + 1 + 1e-6, (start, end, calls)
    for window_s in (1.0, 2.0, 60.0):
        assert most_in_window(times, window_s) <= (window_s + lateness_s) / rate.interval_s + 1


def all_kept(store: Store, stub: Stub, ids: list[str], rate: Rate) -> None:
    """Check bookings, and calls against bookings."""
    records = {id_: store.jobs.get(id_) for id_ in ids}
    booked = {record.fields["business_id"]: record.number("sent_at") / 1000 for record in records.values()}
    arrived = stub.arrivals()
    assert arrived.keys() == booked.keys()
    limit_kept(list(booked.values()), rate, ROUNDING_S)
    early = {id_: booked[id_] - at for id_, at in arrived.items() if at < booked[id_] - ROUNDING_S}
    assert not early, early
    limit_kept(list(arrived.values()), rate, MAX_LATENESS_S + STALL_S)


@pytest.mark.parametrize(("workers", "rate"), [(1, "50/s"), (2, "50/s"), (4, "50/s"), (8, "50/s"), (2, "600/m")])
def test_no_window_is_over_the_limit(
    fleet: Callable[[int, Rate], list[Program]],
    store: Store,
    client: SwapClient,
    stub: Stub,
    workers: int,
    rate: str,
) -> None:
    limit = Rate(rate)
    fleet(workers, limit)
    ids = submit(client, int(3 / limit.interval_s))
    wait_until(lambda: len(stub.arrivals()) == len(ids), deadline_s=60, what=f"{len(ids)} calls")
    wait_until(lambda: client.operator.status().in_flight == 0)
    all_kept(store, stub, ids, limit)


def test_a_fleet_that_was_frozen_does_not_catch_up(
    fleet: Callable[[int, Rate], list[Program]], store: Store, client: SwapClient, stub: Stub
) -> None:
    """All that was booked before the freeze is late after it: given up and booked again, not sent in a bunch."""
    limit = Rate("50/s")
    workers = fleet(2, limit)
    ids = submit(client, 150)
    wait_until(lambda: len(stub.arrivals()) >= 25, what="the fleet works")
    for worker in workers:
        worker.send(signal.SIGSTOP)
    frozen_at = time.monotonic()
    wait_until(lambda: time.monotonic() > frozen_at + 1, what="the bookings of the next second are missed")
    for worker in workers:
        worker.send(signal.SIGCONT)
    wait_until(lambda: len(stub.arrivals()) == len(ids), deadline_s=60, what=f"{len(ids)} calls")
    wait_until(lambda: client.operator.status().in_flight == 0)
    all_kept(store, stub, ids, limit)
