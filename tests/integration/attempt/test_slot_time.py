"""When a call is made: its time counts from when Redis' answer was here, however late its thread hears of that."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.builders import submit
from swapjobs.settings import WorkerSettings
from swapjobs.store.attempts import AttemptStore
from swapjobs.store.claims import Claim
from swapworker.attempt.executor import MAX_LATENESS_S, Attempts, Report
from swapworker.attempt.lease_keeper import LeaseKeeper
from swapworker.process.slot_usage import SlotUsage
from swapworker.process.watchdog import Watchdog
from swapworker.vendor_client.client import VendorClient

if TYPE_CHECKING:
    from support.web_server import WebServer
    from swapjobs.store.claims import NotClaimed
    from swapjobs.store.store import Store

LEASE_S = 1000.0  # its thread sleeps all the time


class LateThread(AttemptStore):
    """As it is for a thread that others kept from hearing of its answer for so long."""

    late_s = 0.0

    def claim(self, id_: str, lease_s: float) -> Claim | NotClaimed:
        claimed = super().claim(id_, lease_s)
        return (
            replace(claimed, answered_at=claimed.answered_at - self.late_s) if isinstance(claimed, Claim) else claimed
        )


@pytest.mark.parametrize(("late_s", "event"), [(0.0, "succeed"), (MAX_LATENESS_S + 0.1, "wait")])
def test_a_slot_that_is_past_when_its_thread_hears_of_it_is_given_up(
    store: Store, vendor_site: WebServer, late_s: float, event: str
) -> None:
    attempts = LateThread(store.functions)
    attempts.late_s = late_s
    settings = WorkerSettings(api_url=vendor_site.url)
    with ExitStack() as stack:
        vendor = stack.enter_context(closing(VendorClient(settings)))
        leases = LeaseKeeper(store, LEASE_S, Watchdog(180, lambda: 0.0))
        runner = Attempts(attempts, vendor, leases, settings, slot_usage=SlotUsage(), random=lambda: 0.5)
        report = runner.run(submit(store))
    assert len(vendor_site.requests) == (event == "succeed")
    assert isinstance(report, Report)
    assert report.decision.event == event
    assert report.decision.patch.get("reason") == ("rate_limit" if event == "wait" else None)
