"""The rule by which KEDA scales, played with real workers: up, down in the middle, not up while the vendor fails."""

from __future__ import annotations

import math
import signal
import time
from typing import TYPE_CHECKING, Final

from support.builders import make_request, wait_until
from swapjobs.monitoring.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

SLOTS: Final = 4  # of one worker
MOST: Final = 4  # workers
JOBS: Final = 240
SETTINGS: Final = {"SWAPJOBS_RATE_LIMIT": "20/s", "SWAPJOBS_CONCURRENCY": str(SLOTS)}


class Scaler:
    """Asks for the metric, starts and ends workers as Kubernetes would, and keeps a table."""

    def __init__(self, store: Store, start: Callable[[str], Program]) -> None:
        self._store, self._start = store, start
        self._running: list[Program] = []
        self._leaving: list[Program] = []
        self.began = time.monotonic()
        self.table: list[tuple[float, int, int, int]] = []
        self._made = 0

    def step(self) -> int:
        """Scale once, at most doubling; return how many workers are wanted."""
        readings = Readings.read(self._store)
        wanted = min(max(math.ceil(readings.slots_wanted / SLOTS), 1), MOST)
        for _ in range(min(wanted, max(2 * len(self._running), 1)) - len(self._running)):
            self._made += 1
            self._running.append(self._start(f"swaps-{self._made}@%h"))
        for worker in self._running[wanted:]:
            worker.send(signal.SIGTERM)
        self._leaving += self._running[wanted:]
        del self._running[wanted:]
        queued = sum(readings.traffic.queued.values())
        row = (queued, readings.slots_wanted, len(self._running))
        if not self.table or self.table[-1][1:] != row:
            self.table.append((round(time.monotonic() - self.began, 1), *row))
        return len(self._running)

    def until(self, workers: int) -> None:
        wait_until(lambda: self.step() == workers, deadline_s=40, what=f"{workers} workers; {self.table[-5:]}")

    def end(self) -> None:
        for worker in self._leaving:
            assert worker.process.wait(40) == 0


def test_workers_follow_what_is_of_use_and_nothing_is_lost_or_paid_twice(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=600")
    command = ("celery", "-A", "swapworker.app", "worker", "-Q", "swaps", "-l", "info", "-n")
    scaler = Scaler(store, lambda name: program(*command, name, **SETTINGS))
    scaler.until(1)
    wait_until(lambda: store.fleet().slots == SLOTS)
    ids = [str(item.id) for item in client.submit_many(make_request() for _ in range(JOBS))]
    scaler.until(4)  # 20/s x 0.6 s x 1.15 = 14 slots
    wait_until(lambda: store.fleet().slots == 4 * SLOTS)

    vendor.faults("http_503")
    wait_until(lambda: client.operator.status().reason == "vendor_outage")
    scaler.until(1)  # with calls under way
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert scaler.step() == 1, "more workers would not help"

    vendor.faults("latency:ms=600")
    scaler.until(4)
    scaler.until(1)
    wait_until(lambda: all(client.get(id_).state == "succeeded" for id_ in ids), deadline_s=60)
    scaler.end()
    assert vendor.get("stats")["billed"] == JOBS
    print("\n".join(["seconds queued wanted workers", *(" ".join(map(str, row)) for row in scaler.table)]))  # noqa: T201
