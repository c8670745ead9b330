"""What the functions count: each job, call, swap and try once, in the step that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import records
from support.builders import claim, make_request, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs import JobState, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim
    from swapjobs.store.store import Store

PICTURE = record.entry("result", output_url="https://out.example/1.png")
NO_FACE = record.entry("error", code="no_face", message="no face found")


def end(store: Store, id_: str, event: Event, *, call: str = "swap succeeded 1200", **patch: str | int) -> str:
    entry = {Event.SUCCEED: PICTURE, Event.FAIL: NO_FACE, Event.WAIT: ""}[event]
    claimed = claim(store, id_)
    return store.attempts.record_outcome(claimed, event, patch=patch, entry=entry, **call_of(claimed, call))


def call_of(claimed: Claim, call: str) -> dict[str, Any]:
    """Return what the worker says of a call, given as `call result ms`."""
    labels, ms = call.rsplit(" ", 1)
    return {"call": f"{claimed.job.tool} {labels}", "call_ms": int(ms)}


def test_jobs_calls_and_bills_are_counted_by_tool_and_outcome(store: Store) -> None:
    ids = [submit(store, tool="roop") for _ in range(3)]
    other = submit(store, tool="v2/roop")
    end(store, ids[0], Event.WAIT, call="swap throttled 90", next_call="swap")
    end(store, ids[0], Event.SUCCEED)
    end(store, ids[1], Event.FAIL, call="swap failed 700", code="no_face")
    store.jobs.cancel(ids[2])
    end(store, other, Event.SUCCEED, call="query succeeded 40")
    counted = store.metrics.read()
    assert counted.counts == {
        "submitted": {("roop",): 3, ("v2/roop",): 1},
        "jobs": {
            ("roop", "succeeded", "-"): 1,
            ("roop", "failed", "no_face"): 1,
            ("roop", "cancelled", "-"): 1,
            ("v2/roop", "succeeded", "-"): 1,
        },
        "vendor_calls": {
            ("roop", "swap", "throttled"): 1,
            ("roop", "swap", "succeeded"): 1,
            ("roop", "swap", "failed"): 1,
            ("v2/roop", "query", "succeeded"): 1,
        },
        "billed": {("roop",): 1, ("v2/roop",): 1},
        "tenant_jobs": {("", "succeeded"): 2, ("", "failed"): 1, ("", "cancelled"): 1},
    }
    assert (counted.times["vendor_call"]["roop"].count, counted.times["vendor_call"]["roop"].sum_s) == (3, 1.99)
    assert counted.times["job"]["roop"].count == 3
    assert counted.times["queue_wait"]["interactive"].count == 3, "the cancelled one never began"


def test_an_outcome_that_is_written_twice_counts_once(store: Store) -> None:
    claimed = claim(store, submit(store))
    for answer in ("ok", "fenced"):
        made = call_of(claimed, "swap succeeded 10")
        written = store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=PICTURE, **made)
        assert written in {"ok", answer}
    counted = store.metrics.read().counts
    assert (
        sum(counted["jobs"].values()) == sum(counted["vendor_calls"].values()) == sum(counted["billed"].values()) == 1
    )


def test_a_swap_is_billed_once_whichever_way_its_picture_comes(store: Store) -> None:
    """Cancelled while it ran, it is paid for; retried, it is asked for. The same of a picture that can't be used."""
    late, unusable = submit(store), submit(store)
    running = claim(store, late)
    store.jobs.cancel(late)
    done = {"patch": {}, "entry": PICTURE, **call_of(running, "swap succeeded 10")}
    assert store.attempts.record_outcome(running, Event.SUCCEED, **done) == "late"
    end(store, unusable, Event.FAIL, call="swap failed 10", code="bad_response", unusable=1, next_call="query")
    assert store.metrics.read().counts["billed"] == {("roop",): 2}
    for id_ in (late, unusable):
        assert store.jobs.retry([id_]) == ["ok"]
        assert end(store, id_, Event.SUCCEED, call="query succeeded 10") == "ok"
    counted = store.metrics.read().counts
    assert counted["billed"] == {("roop",): 2}
    assert counted["jobs"]["roop", "succeeded", "-"] == 2
    # a new swap of the same job, after a failure that was seen, is paid for
    again = submit(store)
    end(store, again, Event.FAIL, call="swap failed 10", code="no_face", next_call="swap")
    store.jobs.retry([again])
    end(store, again, Event.SUCCEED)
    assert store.metrics.read().counts["billed"] == {("roop",): 3}


@pytest.mark.usefixtures("redis_url")
def test_times_are_those_of_redis_clock(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        see_times(store, FakeClock(store.redis))


def see_times(store: Store, clock: FakeClock) -> None:
    id_ = submit(store, priority="bulk")
    clock.move(20)
    claimed = claim(store, id_)
    clock.move(0.2)
    made = call_of(claimed, "swap succeeded 200")
    store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=PICTURE, **made)
    assert store.metrics.oldest_s() == {"interactive": 0, "bulk": 0, "webhooks": 0}
    times = store.metrics.read().times
    assert times["queue_wait"]["bulk"].sum_s == 20
    assert times["queue_wait"]["bulk"].buckets.index(1) == 5, "between 15 and 60 s"
    assert times["job"]["roop"].sum_s == 20.2


def test_tries_of_webhooks_and_how_late_they_were(store: Store) -> None:
    id_ = submit(store, callback_url="https://hooks.example/in")
    end(store, id_, Event.SUCCEED)
    for state in ("pending", "delivered"):
        delivery = store.deliveries.claim(id_, 30)
        assert delivery is not None
        store.deliveries.settle(delivery, state, status=200, entry="{}")
        store.redis.zadd(keys.schedule(), {f"delivery:{id_}": 0}) if state == "pending" else None
        store.dispatch.dispatch_due("one", 30)
    counted = store.metrics.read()
    assert counted.counts["webhook_tries"] == {("failed",): 1, ("delivered",): 1}
    assert counted.times["webhook_lag"]["-"].count == 1


def test_tenants_have_names_where_the_setting_says_so(store: Store, settings: WorkerSettings) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"metrics_tenants": ("acme", "zeta")}))
    for tenant in ("acme", "acme", "somebody"):
        end(store, submit(store, tenant=tenant), Event.SUCCEED)
    assert store.metrics.read().counts["tenant_jobs"] == {("acme", "succeeded"): 2, ("", "succeeded"): 1}
    store.dispatch.set_limits(settings)
    end(store, submit(store, tenant="acme"), Event.SUCCEED)
    assert store.metrics.read().counts["tenant_jobs"] == {("acme", "succeeded"): 2, ("", "succeeded"): 2}


def test_what_nobody_asks_for_is_added_up_all_the_same(client: SwapClient, store: Store) -> None:
    """At most some hundred observations are kept one by one."""
    for outcome in client.submit_many([make_request() for _ in range(1200)]):
        store.jobs.cancel(str(outcome.id))
    assert 0 < int(store.redis.strlen(keys.observed())) < 65_536
    counted = int(store.redis.hget(keys.metrics(), "jobs roop cancelled -") or 0)
    assert 0 < 1200 - counted < 1000
    assert store.metrics.read().counts["jobs"] == {("roop", JobState.CANCELLED, "-"): 1200}
    assert not store.redis.exists(keys.observed())


def test_the_oldest_of_each_lane(store: Store, settings: WorkerSettings) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("1/h")}))
    waiting = [submit(store, tenant=tenant) for tenant in ("a", "b", "c")]
    records.set_fields(store.redis, waiting[1], created_at=store.now_ms() - 90_000)
    ages = store.metrics.oldest_s()
    assert 90 <= ages["interactive"] < 120
    assert (ages["bulk"], ages["webhooks"]) == (0, 0)
