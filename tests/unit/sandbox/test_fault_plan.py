"""Faults: their grammar, and that a seed makes a bad day repeatable."""

from __future__ import annotations

import pytest

from swapsandbox.vendor.fault_plan import FaultPlan
from swapsandbox.vendor.faults import Fault, FaultError, FaultName, read_fault
from swapsandbox.vendor.records import Kind


def struck(plan: FaultPlan, kind: Kind, *business_ids: str) -> list[str | None]:
    """Return the name of the fault that each of these calls meets."""
    verdicts = [plan.judge(kind, business_id) for business_id in business_ids]
    return [verdict.fault.name if verdict.fault else None for verdict in verdicts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http_503", {"name": "http_503", "on": "swap", "share": 1.0, "count": None}),
        ("http_503:count=1,id=demo-4", {"name": "http_503", "count": 1, "id": ("demo-4",)}),
        ("http_500: id=a|b , share=0.25", {"id": ("a", "b"), "share": 0.25}),
        ("latency:ms=250,jitter=50,on=all", {"ms": 250.0, "jitter": 50.0, "on": "all"}),
        ("hang", {"s": 60.0, "after_work": False}),
        ("hang:s=2,after_work=yes", {"s": 2.0, "after_work": True}),
        ("http_429", {"retry_after": 1, "form": "seconds"}),
        ("http_429:retry_after=3,form=date", {"retry_after": 3, "form": "date"}),
        ("http_429_bare", {"retry_after": None}),
        ("lost_reply:share=0.02", {"after_work": True, "share": 0.02}),
        ("status_2:prefix=bad-,msg=NO_FACE: none found", {"prefix": "bad-", "msg": "NO_FACE: none found"}),
        ("pending", {"s": 5.0}),
        ("query_down:count=2", {"on": "query", "count": 2}),
    ],
)
def test_the_compact_form_is_read(text: str, expected: dict[str, object]) -> None:
    fault = read_fault(text).model_dump()
    assert {key: fault[key] for key in expected} == expected


@pytest.mark.parametrize("name", FaultName)
def test_every_fault_can_be_written_in_either_form_and_read_back(name: FaultName) -> None:
    fault = read_fault(f"{name}:ms=5" if name is FaultName.LATENCY else name)
    assert read_fault(fault.model_dump(mode="json", exclude_none=True, exclude_defaults=True)) == fault


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("http_502", r"fault 'http_502': unknown name; known are latency, http_503"),
        ("", "unknown name"),
        ("http_503:count", "'count' is not key=value"),
        ("http_503:count=1,", "'' is not key=value"),
        ("http_503:count=1,count=2", "count is given twice"),
        ("http_503:share=0", "share: must be more than 0"),
        ("http_503:share=1.5", "share: must be at most 1"),
        ("http_503:count=many", "count: must be a whole number"),
        ("http_503:colour=red", "unknown setting colour"),
        ("http_503:ms=3", "http_503 takes no ms"),
        ("pending:after_work=yes", "pending takes no after_work"),
        ("latency", "latency needs ms"),
        ("http_503:on=both", "on: must be one of swap, query, all"),
        ("lost_reply:on=all", "lost_reply applies to swap calls only"),
        ("query_down:on=all", "use http_503:on=all"),
        ({"name": "hang", "s": -1}, "s: must be at least 0"),
        ({"share": 1}, "name"),
        (3, "fault 3"),
    ],
)
def test_what_cannot_be_read_is_explained(given: object, complaint: str) -> None:
    with pytest.raises(FaultError) as caught:
        read_fault(given)
    assert complaint in str(caught.value)


def test_ids_may_be_a_json_list() -> None:
    assert read_fault({"name": "html", "id": ["a", "b"]}).id == ("a", "b")


def test_without_faults_nothing_happens() -> None:
    assert struck(FaultPlan(), Kind.SWAP, "a") == [None]


def test_a_count_runs_out() -> None:
    plan = FaultPlan([read_fault("http_503:count=2")])
    assert struck(plan, Kind.SWAP, "a", "b", "c") == ["http_503", "http_503", None]


def test_only_the_named_ids_are_struck_and_others_use_up_no_count() -> None:
    plan = FaultPlan([read_fault("html:count=1,id=b|c")])
    assert struck(plan, Kind.SWAP, "a", "b", "c") == [None, "html", None]


def test_a_prefix_selects_ids() -> None:
    plan = FaultPlan([read_fault("html:prefix=bad-")])
    assert struck(plan, Kind.SWAP, "bad-1", "good-1") == ["html", None]


@pytest.mark.parametrize(
    ("on", "swaps", "queries"), [("swap", True, False), ("query", False, True), ("all", True, True)]
)
def test_a_fault_strikes_the_calls_it_is_meant_for(on: str, *, swaps: bool, queries: bool) -> None:
    plan = FaultPlan([read_fault(f"http_500:on={on}")])
    assert struck(plan, Kind.SWAP, "a") == ["http_500" if swaps else None]
    assert struck(plan, Kind.QUERY, "a") == ["http_500" if queries else None]


def test_the_first_fault_wins_and_the_second_is_not_used_up() -> None:
    plan = FaultPlan([read_fault("http_503:count=1"), read_fault("http_500:count=1")])
    assert struck(plan, Kind.SWAP, "a", "b", "c") == ["http_503", "http_500", None]


@pytest.mark.parametrize("order", [("latency:ms=100", "http_503"), ("http_503", "latency:ms=100")])
def test_a_delay_joins_another_fault_wherever_it_stands(order: tuple[str, str]) -> None:
    verdict = FaultPlan([read_fault(text) for text in order]).judge(Kind.SWAP, "a")
    assert verdict.delay_s == pytest.approx(0.1)
    assert verdict.fault is not None
    assert verdict.fault.name is FaultName.HTTP_503


def test_delays_add_up_and_jitter_stays_within_its_bounds() -> None:
    plan = FaultPlan([read_fault("latency:ms=100,jitter=50"), read_fault("latency:ms=1000")])
    delays = [plan.judge(Kind.SWAP, "a").delay_s for _ in range(200)]
    assert all(1.05 <= delay <= 1.15 for delay in delays)
    assert max(delays) - min(delays) > 0.05


def test_a_delay_is_never_negative() -> None:
    plan = FaultPlan([read_fault("latency:ms=1,jitter=100")])
    assert min(plan.judge(Kind.SWAP, "a").delay_s for _ in range(50)) == 0


def test_a_share_is_about_kept_and_a_seed_repeats_it() -> None:
    def strikes(seed: int) -> list[str | None]:
        return struck(FaultPlan([read_fault("http_503:share=0.3")], seed), Kind.SWAP, *["a"] * 1000)

    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)
    assert 250 < strikes(1).count("http_503") < 350


def test_one_more_fault_does_not_change_what_the_first_does() -> None:
    first = read_fault("http_503:share=0.5")
    alone = struck(FaultPlan([first], 7), Kind.SWAP, *["a"] * 100)
    joined = struck(FaultPlan([first, read_fault("html:share=0.5")], 7), Kind.SWAP, *["a"] * 100)
    assert [name == "http_503" for name in alone] == [name == "http_503" for name in joined]


def test_the_plan_tells_how_often_each_fault_struck() -> None:
    plan = FaultPlan([Fault(name=FaultName.HTML, count=1)])
    struck(plan, Kind.SWAP, "a", "b")
    assert plan.describe() == [{"fault": {"name": "html", "count": 1}, "applied": 1}]
