"""What the console's pages show, apart from any page: filters, a job's steps, sums and charts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support import records
from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.trend import Slot
from swapjobs.gateway.console.charts import bars, sums_of
from swapjobs.gateway.console.filters import Filters
from swapjobs.gateway.console.texts import texts
from swapjobs.gateway.console.timeline import cost_of, steps_of
from swapjobs.store import record

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
AT_MS = 1_800_000_000_000


def test_filters_are_read_from_an_address_and_written_into_one() -> None:
    given = {"state": "failed", "code": "no_face", "tenant": "acme", "batch": " spring ", "since": "1h", "strange": "x"}
    filters = Filters.read(given.get)
    assert filters.address() == "state=failed&tenant=acme&batch=spring&code=no_face&since=1h"
    assert filters.address(state=None, cursor="1-1") == "tenant=acme&batch=spring&code=no_face&since=1h&cursor=1-1"
    criteria = filters.criteria("acme", NOW)
    assert (criteria["batch_id"], criteria["created_after"]) == ("spring", NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "2y"}, "since"),
        ({"after": "soon"}, "after"),
        ({"before": "2026-02-31"}, "before"),
        ({"tool": "v9"}, "tool"),
        ({"batch": "a b", "tenant": "acme"}, "batch_id"),
    ],
)
def test_what_can_not_be_meant_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        Filters.read(given.get).criteria(given.get("tenant"), NOW)
    assert error.value.field == field


def test_a_time_without_a_zone_is_utc() -> None:
    criteria = Filters(after="2026-11-29T10:00").criteria(None, NOW)
    assert criteria["created_after"] == datetime(2026, 11, 29, 10, 0, tzinfo=UTC)


def job(*lines: dict[str, Any], **fields: Any) -> record.Record:
    history = [{"source_url": "https://a.example/1", "target_url": "https://a.example/2"}, *lines]
    given = {"state": "succeeded", "created_at": AT_MS, "finished_at": AT_MS + 9000, **fields}
    text = {name: str(value) for name, value in given.items()}
    return record.unpack("id", records.packed(text, "\n".join(json.dumps(line) for line in history)))


def test_a_jobs_steps_tell_what_it_waited_for_and_what_came_of_each_attempt() -> None:
    lines = (
        {"kind": "attempt", "code": "internal", "message": "no", "at": AT_MS + 2000, "duration_ms": 500, "status": 503},
        {"kind": "error", "code": "no_face", "message": "none", "at": AT_MS + 4500, "duration_ms": 100, "worker": "w1"},
        {"kind": "retry", "at": AT_MS + 6000, "round": 2},
        {"kind": "result", "output_url": "https://a.example/3", "at": AT_MS + 6000, "duration_ms": 3000},
    )  # fmt: skip
    steps = steps_of(job(*lines), {"roop": 0.5})
    assert [(step.kind, step.outcome, step.seconds) for step in steps] == [
        ("submitted", "", None),
        ("waited", "turn", 2.0),
        ("attempt", "failed", 0.5),
        ("waited", "pause", 2.0),
        ("attempt", "failed", 0.1),
        ("retried", "", None),
        ("attempt", "succeeded", 3.0),
        ("ended", "succeeded", None),
    ]
    assert [(step.number, step.round) for step in steps if step.kind == "attempt"] == [(1, 1), (2, 1), (1, 2)]
    assert [step.cost for step in steps if step.kind == "attempt"] == [None, None, 0.5]
    assert (steps[2].status, steps[4].worker, steps[4].message) == (503, "w1", "none")
    assert (cost_of(job(*lines), {"roop": 0.5}), cost_of(job(*lines), {})) == (0.5, None)


def test_a_swap_that_was_paid_for_and_can_not_be_used_has_its_cost() -> None:
    line = {"kind": "error", "code": "bad_response", "message": "no picture", "at": AT_MS, "duration_ms": 5}
    failed = job(line, state="failed", billed=1)
    assert cost_of(failed, {"roop": 0.5}) == 0.5
    assert [step.cost for step in steps_of(failed, {"roop": 0.5}) if step.kind == "attempt"] == [0.5]


def test_a_job_that_runs_is_seen_to_be_called_for() -> None:
    running = job(state="running", started_at=AT_MS + 100, sent_at=AT_MS + 200, next_call="query")
    assert [step.kind for step in steps_of(running, {})] == ["submitted", "calling"]


def test_slots_are_added_up_and_drawn() -> None:
    slots = [
        Slot(NOW, {"submitted": 5, "calls": 4, "succeeded": 3, "failed no_face": 1, "billed roop": 3}),
        Slot(NOW + timedelta(minutes=1), {}),
        Slot(NOW + timedelta(minutes=2), {"failed no_face": 1, "failed internal": 3, "webhook failed": 9}),
    ]
    sums = sums_of(slots)
    assert (sums.outcomes, sums.ended) == ({"succeeded": 3, "failed": 5}, 8)
    assert list(sums.codes.items()) == [("internal", 3), ("no_face", 2)]
    assert (sums.submitted, sums.calls, sums.cost({"roop": 0.5})) == (5, 4, 1.5)
    drawn = bars(slots, texts("en"), "<ended>")
    assert drawn.count("<g>") == 2
    assert "&lt;ended&gt;" in drawn
    assert "2026-11-29 12:00 UTC: succeeded 3: failed 1" in drawn
