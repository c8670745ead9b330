"""What the fleet state means to a person: the state of dispatch, in fields and in words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from swapjobs import DispatchStatus
from swapjobs.cli.dispatch import print_status
from swapjobs.contract.dispatch_status import PauseReason
from swapjobs.monitoring.wording import TO_DO, rate_text, summary
from swapjobs.store.dispatch import TrafficSnapshot
from swapjobs.store.fleet_state import FIELDS, MAX_PAUSE_MS, OUTAGES

NOW_MS = 1_800_000_000_000  # 2027-01-15, 08:00:00 UTC
NOBODY = {"interactive": 0, "bulk": 0, "webhooks": 0}


def status(*, probing: bool = False, **fields: float) -> DispatchStatus:
    """Return the status for these numbers of the fleet state."""
    return TrafficSnapshot({"rate": 5, **FIELDS, **fields}, {}, NOW_MS, NOBODY, probing=probing).status


def tripped(why: str = "vendor_outage", seconds: float = 240, probe_in_s: float = 3, **fields: Any) -> DispatchStatus:
    times = {"tripped_at": NOW_MS - seconds * 1000, "probe_at": NOW_MS + probe_in_s * 1000}
    return status(tripped=OUTAGES.index(why), **{**times, **fields})


def paused(since_ms: float) -> DispatchStatus:
    return status(paused_manually=since_ms)


def test_before_the_first_worker_it_is_running() -> None:
    assert status() == DispatchStatus(
        as_of=status().as_of, state="running", in_flight=0, queued=NOBODY, rate=5, rate_limit=5
    )
    assert summary(status()) == "running"


def test_after_a_reset_it_is_running_as_before() -> None:
    assert status(tripped=0, tripped_at=NOW_MS - 9, probe_at=NOW_MS, reset_at=NOW_MS - 5000, ramp=5000) == status()


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (paused(NOW_MS - 61_000), "paused since 07:58:59 UTC (61 s): by an operator"),
        (
            paused(NOW_MS - 10 * 3_600_000),
            "paused since 2027-01-14 22:00:00 UTC (10 h): by an operator",
        ),
        (
            paused(NOW_MS - 5 * 86_400_000),
            "paused since 2027-01-10 08:00:00 UTC (5 days): by an operator",
        ),
        (status(paused_until=NOW_MS + 30_000), "paused until 08:00:30 UTC (in 30 s): rate_limit"),
        (tripped(), "paused since 07:56:00 UTC (4 min): vendor_outage; next probe in 3 s"),
        (tripped(probe_in_s=0), "paused since 07:56:00 UTC (4 min): vendor_outage; a probe is due"),
        (tripped(probe_in_s=-60), "paused since 07:56:00 UTC (4 min): vendor_outage; a probe is due"),
        (tripped(probing=True), "paused since 07:56:00 UTC (4 min): vendor_outage; a probe is under way"),
        (tripped("quota_exhausted", 0), "paused since 08:00:00 UTC (0 s): quota_exhausted; next probe in 3 s"),
        (status(reset_at=NOW_MS - 1000, ramp=5000), "running; the full rate is back in 4 s"),
    ],
)
def test_the_state_is_told_in_plain_words(result: DispatchStatus, text: str) -> None:
    assert summary(result) == text


def test_the_users_hand_stands_before_the_breaker_and_the_breaker_before_the_vendors_pause() -> None:
    assert tripped(paused_manually=NOW_MS).reason == "manual"
    both = tripped(paused_until=NOW_MS + 60_000)
    assert both.reason == "vendor_outage"
    assert summary(both).endswith("next probe in 60 s"), "the pause holds back probes too"


def test_a_pause_is_never_told_longer_than_it_can_be() -> None:
    """Where the clock jumped back the stored time is far away; the scripts cut it, and so does this."""
    resumes_at = status(paused_until=NOW_MS + 10 * MAX_PAUSE_MS).resumes_at
    assert resumes_at is not None
    assert resumes_at.timestamp() * 1000 == NOW_MS + MAX_PAUSE_MS
    assert status(paused_until=NOW_MS - 1).state == "running"


@pytest.mark.parametrize("reason", get_args(PauseReason))
def test_for_every_reason_there_is_a_word_on_what_to_do(
    reason: PauseReason, capsys: pytest.CaptureFixture[str]
) -> None:
    known: dict[str, Any] = {"rate": 5, "rate_limit": 5, "in_flight": 2, "queued": {**NOBODY, "bulk": 7}}
    print_status(DispatchStatus(as_of=status().as_of, state="paused", reason=reason, **known), as_json=False)
    shown = capsys.readouterr().out.splitlines()
    names = ["dispatch", "to do", "rate", "calls", "interactive", "bulk", "webhooks"]
    assert [text.split("  ")[0] for text in shown] == names
    assert shown[1] == f"to do        {TO_DO[reason]}"
    assert max(len(text) for text in shown) <= 80
    assert shown[2:4] == ["rate         5/s", "calls        2 in flight"]
    assert shown[4:6] == ["interactive  0 queued", "bulk         7 queued"]


@pytest.mark.parametrize(
    ("interval", "rate", "text"),
    [
        (200, 5, "5/s"),
        (200, 2.514, "2.51/s now, of 5/s"),
        (1000 / 333, 333, "333/s"),
        (2000, 0.5, "30/min"),
        (2000, 0.25, "15/min now, of 30/min"),
        (90_000, 0.01, "36/h now, of 40/h"),
    ],
)
def test_the_rate_is_told_in_the_unit_that_says_it_best(interval: float, rate: float, text: str) -> None:
    assert rate_text(status(interval=interval, rate=rate)) == text
