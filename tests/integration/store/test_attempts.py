"""claim, apply, renew, cancel, wake: one place for each job, and the fence."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support import records
from support.builders import claim, make_request, submit, wait_until
from support.traffic_state import poke
from swapjobs import JobGone, JobNotFound, JobState, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys, record
from swapjobs.store.claims import NotClaimed
from swapworker.delivery.event import event_of, message_id

if TYPE_CHECKING:
    from swapjobs.contract.lifecycle import Event as EventType
    from swapjobs.store.store import Store

LEASE_S = 30


def places(store: Store, id_: str) -> list[str]:
    """Return everywhere the job stands: exactly one place for an unfinished job."""
    result = []
    job = store.jobs.get(id_)
    tenant, lane = job.fields["tenant"], job.fields["priority"]
    for name, key in {"line": keys.queue(lane, tenant), "message": keys.published(lane)}.items():
        if store.redis.zscore(key, id_) is not None:
            result.append(name)
    result += [
        kind
        for kind in ("lease", "retry", "poll", "expiry", "delivery")
        if store.redis.zscore(keys.schedule(), f"{kind}:{id_}") is not None
    ]
    return result


def state(store: Store, id_: str) -> JobState:
    return store.jobs.get(id_).to_job().state


def wait_for_wake(store: Store, count: int = 1) -> None:
    wait_until(lambda: store.dispatch.dispatch_due("w", LEASE_S)[0] >= count, what="something due")


def test_a_claim_holds_the_lease_and_a_second_message_leads_nowhere(store: Store) -> None:
    id_ = submit(store)
    first = claim(store, id_)
    assert (first.fence, first.call, first.wait_s) == (1, "swap", 0)
    assert places(store, id_) == ["lease"]
    assert store.attempts.claim(id_, LEASE_S) == NotClaimed("running")
    assert store.attempts.claim("nosuchjob", LEASE_S) == NotClaimed("gone")


def test_success_ends_the_job_in_one_step_and_everything_expires(store: Store) -> None:
    id_ = submit(store)
    entry = record.entry("result", output_url="https://out.example/1.png")
    assert store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={}, entry=entry) == "ok"
    job = store.jobs.get(id_).to_job()
    assert (job.state, job.output_url) == (JobState.SUCCEEDED, "https://out.example/1.png")
    assert job.finished_at is not None
    assert places(store, id_) == []
    assert store.redis.ttl(keys.job(id_)) > 0
    hash_, field = keys.tombstone(id_)
    assert store.redis.hexists(hash_, field)
    assert store.redis.ttl(hash_) > store.redis.ttl(keys.job(id_)) + 39 * 86_400


def test_a_wait_is_moved_to_the_head_of_its_line_when_due(store: Store) -> None:
    id_ = submit(store)
    store.attempts.record_outcome(
        claim(store, id_), Event.WAIT, patch={"reason": "retry"}, schedule="retry", delay_s=0.05
    )
    assert places(store, id_) == ["retry"]
    job = store.jobs.get(id_).to_job()
    assert (job.state, job.reason) == (JobState.WAITING, "retry")
    assert job.next_attempt_at is not None
    assert store.attempts.claim(id_, LEASE_S) == NotClaimed("waiting")
    wait_for_wake(store)
    assert places(store, id_) == ["message"]
    assert claim(store, id_).fence == 2


def test_a_returning_job_stands_before_a_hundred_fresh_ones(store: Store) -> None:
    id_ = submit(store, priority="bulk")
    claimed = claim(store, id_)
    store.jobs.submit([make_request(priority="bulk") for _ in range(100)])
    before = store.redis.zcard(keys.published("bulk"))
    store.attempts.record_outcome(claimed, Event.WAIT, patch={}, schedule="")
    # it took the next free place on the ready queue, or the first of the line
    (first,) = store.redis.zrange(keys.queue("bulk", "default"), 0, 0)
    assert first == id_ or store.redis.zscore(keys.published("bulk"), id_) is not None
    assert store.redis.zcard(keys.published("bulk")) >= before


def test_a_job_whose_worker_died_is_rescued_and_asks_the_vendor_first(store: Store) -> None:
    id_ = submit(store)
    dead = claim(store, id_, lease_s=0.05)
    wait_for_wake(store)
    assert state(store, id_) is JobState.QUEUED
    again = claim(store, id_)
    assert (again.fence, again.call) == (2, "query")
    assert store.attempts.record_outcome(dead, Event.SUCCEED, patch={}) == "fenced"
    assert store.attempts.record_outcome(again, Event.SUCCEED, patch={}) == "ok"
    assert store.attempts.record_outcome(again, Event.FAIL, patch={}) == "succeeded"


def test_a_late_result_counts_as_long_as_nobody_else_claimed_the_job(store: Store) -> None:
    id_ = submit(store)
    slow = claim(store, id_, lease_s=0.05)
    wait_for_wake(store)
    assert store.attempts.record_outcome(slow, Event.SUCCEED, patch={}) == "ok"
    assert state(store, id_) is JobState.SUCCEEDED
    assert places(store, id_) == []


def test_renewed_leases_last_and_lost_ones_are_told(store: Store) -> None:
    stored, lost = claim(store, submit(store), 0.05), claim(store, submit(store), 0.05)
    store.attempts.record_outcome(lost, Event.FAIL, patch={})
    assert store.attempts.renew_leases([(stored.job.id, stored.fence, 30), (lost.job.id, lost.fence, 30)]) == [
        True,
        False,
    ]
    score = store.redis.zscore(keys.schedule(), f"lease:{stored.job.id}")
    assert score is not None
    assert score > (time.time() + 20) * 1000


@pytest.mark.parametrize("stage", ["queued", "running", "waiting"])
def test_cancel_is_final_at_once_from_everywhere(store: Store, client: SwapClient, stage: str) -> None:
    id_ = submit(store)
    claimed = claim(store, id_) if stage != "queued" else None
    if claimed and stage == "waiting":
        store.attempts.record_outcome(claimed, Event.WAIT, patch={}, schedule="poll", delay_s=60)
    assert client.cancel(id_).state is JobState.CANCELLED
    assert store.attempts.claim(id_, LEASE_S) == NotClaimed("cancelled")
    assert client.cancel(id_).state is JobState.CANCELLED
    if claimed and stage == "running":
        assert store.dispatch.status().in_flight == 1, "its call is under way"
        assert store.attempts.renew_leases([(id_, claimed.fence, LEASE_S)]) == [False]
        assert store.attempts.record_outcome(claimed, Event.FAIL, patch={"next_call": "swap"}) == "cancelled"
    assert places(store, id_) == []
    assert store.dispatch.status().in_flight == 0


def test_the_place_of_a_stopped_call_is_free_when_its_worker_is_dead(store: Store) -> None:
    id_ = submit(store)
    claim(store, id_, lease_s=2)
    assert store.jobs.cancel(id_) == "ok"
    store.redis.zadd(keys.schedule(), {f"lease:{id_}": 1}, xx=True)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert (places(store, id_), store.dispatch.status().in_flight) == ([], 0)
    assert state(store, id_) is JobState.CANCELLED


def test_a_stopped_call_that_goes_on_keeps_its_place(store: Store) -> None:
    id_ = submit(store)
    claimed = claim(store, id_, lease_s=2)
    store.jobs.cancel(id_)
    store.redis.zadd(keys.schedule(), {f"lease:{id_}": 1}, xx=True)
    assert store.attempts.renew_leases([(id_, claimed.fence, LEASE_S)]) == [False]
    store.dispatch.dispatch_due("w", LEASE_S)
    assert store.dispatch.status().in_flight == 1
    assert store.jobs.retry([id_]) == ["ok"]
    assert store.dispatch.status().in_flight == 0, "the new round counts its own calls"


def test_a_success_after_cancel_is_kept_but_the_state_stays(store: Store, client: SwapClient) -> None:
    id_ = submit(store)
    claimed = claim(store, id_)
    client.cancel(id_)
    entry = record.entry("result", output_url="https://out.example/paid.png")
    assert store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=entry) == "late"
    job = client.get(id_)
    assert (job.state, job.output_url) == (JobState.CANCELLED, "https://out.example/paid.png")


def test_expiry_ends_a_queued_job_and_a_running_one(store: Store) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=80)
    queued, running = submit(store, expires_at=soon), submit(store, expires_at=soon)
    claimed = claim(store, running)
    wait_until(lambda: (store.dispatch.dispatch_due("w", LEASE_S), state(store, queued) is JobState.EXPIRED)[1])
    wait_until(lambda: (store.dispatch.dispatch_due("w", LEASE_S), state(store, running) is JobState.EXPIRED)[1])
    job = store.jobs.get(queued).to_job()
    assert job.error is not None
    assert job.error.code == "expired"
    assert places(store, queued) == []
    assert places(store, running) == ["lease"], "its call is under way"
    assert store.attempts.record_outcome(claimed, Event.FAIL, patch={"next_call": "swap"}) == "expired"
    assert places(store, running) == []


def test_messages_that_vanished_are_published_again(store: Store) -> None:
    id_ = submit(store)
    store.redis.delete(keys.READY[keys.INTERACTIVE])
    store.dispatch.dispatch_due("w", LEASE_S)
    assert store.redis.llen(keys.READY[keys.INTERACTIVE]) == 0
    store.redis.zadd(keys.published("interactive"), {id_: time.time() * 1000 - 6000})  # as after six seconds
    store.dispatch.dispatch_due("w", LEASE_S)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert store.redis.llen(keys.READY[keys.INTERACTIVE]) == 1
    assert claim(store, id_).fence == 1


def test_only_one_dispatcher_works_at_a_time(store: Store) -> None:
    assert store.dispatch.dispatch_due("one", LEASE_S)[0] == 0
    assert store.dispatch.dispatch_due("two", LEASE_S)[0] == -1
    assert store.dispatch.dispatch_due("one", LEASE_S)[0] == 0


def test_after_a_gap_every_lease_gets_one_more(store: Store) -> None:
    id_ = submit(store)
    claim(store, id_, lease_s=0.01)
    poke(store.redis, dispatched_at=int(time.time() * 1000) - 60_000)
    wait_until(lambda: store.dispatch.dispatch_due("w", LEASE_S, stayed=True)[0] >= 1, what="something due")
    assert state(store, id_) is JobState.RUNNING
    score = store.redis.zscore(keys.schedule(), f"lease:{id_}")
    assert score is not None
    assert score > time.time() * 1000 + 20_000


def test_a_pause_stops_the_refill_and_sends_claimed_messages_back(store: Store) -> None:
    first, second = submit(store), submit(store)
    third = submit(store)
    claimed = claim(store, first)
    store.attempts.record_outcome(claimed, Event.WAIT, patch={}, schedule="retry", delay_s=0.3, pause_s=0.3)
    assert store.attempts.claim(second, LEASE_S) == NotClaimed("rate_limit")
    assert places(store, second) == ["line"]
    assert state(store, second) is JobState.QUEUED
    assert claimed.fence == 1
    wait_until(lambda: (store.dispatch.dispatch_due("w", LEASE_S), places(store, second) == ["message"])[1])
    assert {claim(store, id_).job.id for id_ in (second, third)} == {second, third}


def test_calls_in_flight_are_capped_and_given_back(store: Store, settings: WorkerSettings) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"max_in_flight": 2}))
    ids = [submit(store) for _ in range(4)]
    one, _two = claim(store, ids[0]), claim(store, ids[1])
    assert places(store, ids[2]) == ["line"]
    store.attempts.record_outcome(one, Event.FAIL, patch={})
    assert places(store, ids[2]) == ["message"]


def test_a_slot_is_booked_at_most_one_horizon_ahead(store: Store, settings: WorkerSettings) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"rate_limit": Rate("5/s")}))
    ids = [submit(store) for _ in range(20)]
    waits = []
    for id_ in ids:
        answer = store.attempts.claim(id_, LEASE_S)
        if not isinstance(answer, NotClaimed):
            waits.append(answer.wait_s)
    assert waits[0] == 0
    assert len(waits) in {5, 6}
    assert all(0.15 < later - sooner < 0.21 for sooner, later in itertools.pairwise(waits))
    assert waits[-1] <= 1.01


def test_unknown_gone_and_present_are_told_apart(store: Store, client: SwapClient) -> None:
    with pytest.raises(JobNotFound):
        client.get("nosuchjob")
    id_ = submit(store)
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    store.redis.delete(keys.job(id_))
    with pytest.raises(JobGone):
        client.get(id_)


@pytest.mark.parametrize(("event", "kind"), [(Event.SUCCEED, "swap.succeeded"), (Event.FAIL, "swap.failed")])
def test_finishing_and_scheduling_the_webhook_are_one_step(store: Store, event: EventType, kind: str) -> None:
    id_ = submit(store, callback_url="https://hooks.example/in")
    entry = record.entry("error", code="no_face", message="none")
    store.attempts.record_outcome(claim(store, id_), event, patch={}, entry=entry)
    assert store.redis.llen(keys.READY[keys.WEBHOOKS]) == 1
    assert store.redis.ttl(keys.job(id_)) == -1, "kept until it is delivered"
    delivery = store.deliveries.claim(id_, 30)
    assert delivery is not None
    assert store.deliveries.claim(id_, 30) is None
    assert event_of(delivery).type == kind
    assert message_id(delivery).startswith("msg_")
    tried: dict[str, Any] = {"status": 503, "entry": record.entry("webhook", status=503)}
    assert store.deliveries.settle(delivery, "pending", delay_s=0.05, **tried) == "ok"
    wait_for_wake(store)
    again = store.deliveries.claim(id_, 30)
    assert again is not None
    assert store.deliveries.settle(delivery, "delivered", **tried) == "fenced"
    tried["status"] = 200
    assert store.deliveries.settle(again, "delivered", **tried) == "ok"
    webhook = store.jobs.get(id_).to_job().webhook
    assert webhook is not None
    assert (webhook.state, webhook.attempts, webhook.last_status) == ("delivered", 2, 200)
    assert store.redis.ttl(keys.job(id_)) > 0


def test_a_delivery_whose_worker_died_is_tried_again(store: Store) -> None:
    id_ = submit(store, callback_url="https://hooks.example/in")
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    assert store.deliveries.claim(id_, 0.05) is not None
    wait_for_wake(store)
    assert store.deliveries.claim(id_, 30) is not None


def test_queries_with_a_rate_of_their_own_do_not_stand_in_the_swaps_way(store: Store, settings: WorkerSettings) -> None:
    store.dispatch.set_limits(settings.model_copy(update={"query_rate_limit": Rate("1/s")}))
    asking = [submit(store) for _ in range(20)]
    store.redis.delete(*keys.READY.values())
    for id_ in asking:
        records.set_fields(store.redis, id_, next_call="query")
    verdicts = []
    while hinted := store.redis.zrange(keys.published("interactive"), 0, -1):
        verdicts += [store.attempts.claim(str(id_), LEASE_S) for id_ in hinted]
    assert sum(not isinstance(verdict, NotClaimed) for verdict in verdicts) <= 2
    assert places(store, asking[-1]) == ["poll"]
    assert claim(store, submit(store)).call == "swap"


def test_a_full_redis_still_lets_claimed_work_begin_and_end(store: Store) -> None:
    """Only new jobs are refused: else nothing would ever free memory."""
    id_, other = submit(store, callback_url="https://hooks.example/in"), submit(store)
    store.redis.config_set("maxmemory", store.redis.info("memory")["used_memory"] // 2)
    try:
        claimed = claim(store, id_)
        assert store.attempts.confirm(claimed) == "ok"
        assert (
            store.attempts.record_outcome(claim(store, other), Event.WAIT, patch={}, signal="credentials_rejected")
            == "ok"
        )
        assert store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}) == "ok"
        delivery = store.deliveries.claim(id_, 30)
        assert delivery is not None
        assert store.deliveries.settle(delivery, "delivered", status=200, entry="{}") == "ok"
    finally:
        store.redis.config_set("maxmemory", 0)


def test_the_same_result_written_twice_counts_once(store: Store) -> None:
    """A worker whose answer from Redis was lost writes again."""
    id_ = submit(store, callback_url="https://hooks.example/in")
    claimed = claim(store, id_)
    entry = record.entry("result", output_url="https://out.example/1.png")
    assert [store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=entry) for _ in range(2)] == [
        "ok",
        "ok",
    ]
    assert len([line for line in store.jobs.get(id_).history if line.get("kind") == "result"]) == 1
    delivery = store.deliveries.claim(id_, 30)
    assert delivery is not None
    tried = record.entry("webhook", status=200)
    answers = [store.deliveries.settle(delivery, "delivered", status=200, entry=tried) for _ in range(2)]
    assert answers == ["ok", "fenced"]
    webhook = store.jobs.get(id_).to_job().webhook
    assert webhook is not None
    assert webhook.attempts == 1


def test_a_delivery_settled_after_its_lease_ended_stands_nowhere_else(store: Store) -> None:
    id_ = submit(store, callback_url="https://hooks.example/in")
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    slow = store.deliveries.claim(id_, 0.03)
    assert slow is not None
    wait_for_wake(store)
    assert store.deliveries.settle(slow, "delivered", status=200, entry="{}") == "ok"
    assert store.redis.zcard(keys.published("webhooks")) == 0
    assert store.deliveries.claim(id_, 30) is None


def test_a_registered_message_without_a_record_does_not_hold_its_place_for_ever(store: Store) -> None:
    store.redis.zadd(keys.published("interactive"), {f"ghost{number}": 1 for number in range(8)})
    id_ = submit(store)
    assert places(store, id_) == ["line"]
    store.dispatch.dispatch_due("w", LEASE_S)
    assert places(store, id_) == ["message"]


def test_calls_that_may_be_paid_twice_are_counted(store: Store) -> None:
    store.attempts.record_outcome(claim(store, submit(store)), Event.WAIT, patch={"maybe_paid_twice": 1})
    assert store.dispatch.inspect().counts["maybe_paid_twice"] == 1
