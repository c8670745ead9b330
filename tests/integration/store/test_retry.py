"""retry.lua and what chooses the jobs for it: a new round, the old one kept as history and fenced off."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import claim, make_request, submit, wait_until
from support.traffic_state import poke
from swapjobs import ErrorCode, InvalidRequest, JobError, JobGone, JobNotFound, JobState, NotRetryable, QueueFull
from swapjobs.contract.job import job_id
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys, record
from swapjobs.store.claims import NotClaimed
from swapworker.delivery.event import event_of, message_id
from swapworker.vendor_client.request import vendor_id_of

if TYPE_CHECKING:
    from swapjobs import Job, SwapClient
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.claims import Claim, DeliveryClaim
    from swapjobs.store.store import Store

NO_FACE = record.entry("error", code="no_face", message="no face found")
PICTURE = record.entry("result", output_url="https://out.example/1.png")
HOOK = "https://hooks.example/in"


def fail(store: Store, id_: str, entry: str = NO_FACE) -> Claim:
    """Fail the job with a known outcome, as the vendor's status 2 does."""
    claimed = claim(store, id_)
    assert store.attempts.record_outcome(claimed, Event.FAIL, patch={"next_call": "swap"}, entry=entry) == "ok"
    return claimed


def failed(store: Store, **fields: Any) -> str:
    id_ = submit(store, **fields)
    fail(store, id_)
    return id_


def deliver(store: Store, id_: str) -> DeliveryClaim:
    delivery = store.deliveries.claim(id_, 30)
    assert delivery is not None
    return delivery


def settle(store: Store, delivery: DeliveryClaim) -> str:
    return store.deliveries.settle(delivery, "delivered", status=200, entry=record.entry("webhook", status=200))


def ttl(store: Store, id_: str) -> int:
    return int(store.redis.ttl(keys.job(id_)))


def wakes(store: Store, id_: str) -> set[str]:
    members = [str(member) for member in store.redis.zrange(keys.schedule(), 0, -1)]
    return {kind for kind, _, whose in (member.partition(":") for member in members) if whose == id_}


def test_a_new_round_begins_with_new_attempts_and_ends_as_the_first_did(store: Store, client: SwapClient) -> None:
    id_ = submit(store)
    charged: dict[str, str | int] = {
        "attempts": 3,
        "failed_lookups": 1,
        "failed_lookups_since": 5,
        "unknown_answers": 1,
        "polls": 2,
        "reason": "retry",
    }
    tried = record.entry("attempt", number=3, code="vendor_error", message="busy")
    store.attempts.record_outcome(claim(store, id_), Event.WAIT, patch=charged | {"next_call": "swap"}, entry=tried)
    fail(store, id_)
    before = client.get(id_)
    job = client.retry(id_)
    assert (job.state, job.failed_attempts, job.reason, job.error) == (JobState.QUEUED, 0, None, None)
    assert (job.started_at, job.finished_at, job.next_attempt_at) == (None, None, None)
    assert job.created_at == before.created_at
    left = store.jobs.get(id_).fields.keys() & {*charged, "next_call", "sent_at", "outage", "outages"}
    assert not left
    assert ttl(store, id_) == -1
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={}, entry=PICTURE)
    job = client.get(id_)
    assert (job.state, job.output_url, job.error) == (JobState.SUCCEEDED, "https://out.example/1.png", None)
    assert ttl(store, id_) > 0


def test_the_old_attempts_stay_in_the_history_and_the_retry_is_told_there(store: Store, client: SwapClient) -> None:
    id_ = failed(store)
    began_ms = time.time() * 1000
    for round_ in (2, 3):
        client.retry(id_)
        answer = store.jobs.get(id_).last("retry")
        assert answer is not None
        assert answer["round"] == store.jobs.get(id_).number("round") == round_
        assert abs(answer["at"] - began_ms) < 5000
        fail(store, id_, record.entry("error", code="swap_failed", message=f"round {round_}"))
    kinds = [line.get("kind", "request") for line in store.jobs.get(id_).history]
    assert kinds == ["request", "error", "retry", "error", "retry", "error"]
    assert client.get(id_).error == JobError(code=ErrorCode.SWAP_FAILED, message="round 3")


def test_a_retried_job_stands_at_the_tail_of_its_line(store: Store, client: SwapClient) -> None:
    id_ = failed(store, priority="bulk", tenant="shop")
    store.jobs.submit([make_request(priority="bulk", tenant="shop") for _ in range(100)])
    client.retry(id_)
    assert store.redis.zrange(keys.queue("bulk", "shop"), -1, -1) == [id_]
    assert store.attempts.claim(id_, 30) == NotClaimed("queued")


def test_an_idle_system_starts_the_retried_job_at_once(store: Store, client: SwapClient) -> None:
    id_ = failed(store)
    store.redis.delete(keys.READY[keys.INTERACTIVE])
    client.retry(id_)
    assert store.redis.llen(keys.READY[keys.INTERACTIVE]) == 1
    assert claim(store, id_).job.id == id_


@pytest.mark.parametrize("event", [Event.SUCCEED, Event.FAIL, Event.WAIT])
def test_a_late_result_of_the_old_round_is_fenced_off(store: Store, client: SwapClient, event: Event) -> None:
    id_ = submit(store)
    old = claim(store, id_)
    client.cancel(id_)
    client.retry(id_)
    before = store.jobs.get(id_)
    assert store.attempts.record_outcome(old, event, patch={"attempts": 5}, entry=PICTURE) == "fenced"
    assert store.jobs.get(id_) == before
    new = claim(store, id_)
    assert store.attempts.record_outcome(old, event, patch={}, entry=PICTURE) == "fenced"
    assert store.attempts.renew_leases([(id_, old.fence, 30)]) == [False]
    assert store.attempts.confirm(old) == "lost"
    assert store.attempts.record_outcome(new, Event.SUCCEED, patch={}) == "ok"


def test_the_vendor_gets_a_new_id_where_the_outcome_is_known(
    store: Store, client: SwapClient, settings: WorkerSettings
) -> None:
    """Else it could take the new call for the old one."""
    id_ = submit(store, business_task_id="order-1")
    assert vendor_id_of(fail(store, id_), settings) == "order-1"
    for expected in (f"{job_id('default', 'order-1')}-2", f"{job_id('default', 'order-1')}-3"):
        client.retry(id_)
        again = claim(store, id_)
        assert (again.call, vendor_id_of(again, settings)) == ("swap", expected)
        store.attempts.record_outcome(again, Event.FAIL, patch={"next_call": "swap"}, entry=NO_FACE)


def test_an_id_used_again_after_a_retry_gets_a_vendor_id_never_used_before(store: Store, client: SwapClient) -> None:
    request = make_request(business_task_id="order-1")
    (submission,) = store.jobs.submit([request])
    id_ = str(submission.id)
    fail(store, id_)
    client.retry(id_)
    fail(store, id_)
    store.redis.delete(keys.job(id_))  # as the TTL does
    assert store.jobs.submit([request])[0].outcome == "created"
    job = store.jobs.get(id_)
    assert (job.number("generation"), job.number("round", 1)) == (3, 1)


@pytest.mark.parametrize("end", ["cancelled", "expired", "failed"])
def test_an_outcome_that_was_not_seen_is_asked_for_first_under_the_id_it_was_sent_with(
    store: Store, client: SwapClient, settings: WorkerSettings, end: str
) -> None:
    """Nothing is paid twice: the call of the old round may have brought a picture."""
    soon = datetime.now(UTC) + timedelta(milliseconds=50) if end == "expired" else None
    id_ = submit(store, business_task_id="order-1", expires_at=soon)
    old = claim(store, id_)
    if end == "cancelled":
        client.cancel(id_)
    elif end == "failed":
        gave_up = record.entry("error", code="vendor_timeout", message="works on it for an hour")
        store.attempts.record_outcome(old, Event.FAIL, patch={"next_call": "query", "polls": 40}, entry=gave_up)
    else:
        wait_until(lambda: (store.dispatch.dispatch_due("w", 30), client.get(id_).state is JobState.EXPIRED)[1])
    sent_at = store.jobs.get(id_).number("sent_at")
    assert sent_at
    client.retry(id_)
    new = claim(store, id_)
    assert (new.call, vendor_id_of(new, settings)) == ("query", "order-1")
    assert new.job.number("sent_at") == sent_at
    # The pauses between questions begin anew; that the vendor knew the task stays known.
    assert new.job.number("polls") == (1 if end == "failed" else 0)


def test_a_job_that_was_never_sent_is_sent_and_not_asked_for(store: Store, client: SwapClient) -> None:
    id_ = submit(store)
    client.cancel(id_)
    client.retry(id_)
    assert claim(store, id_).call == "swap"


def test_a_deadline_ahead_holds_for_the_new_round_too(store: Store, client: SwapClient) -> None:
    expires = datetime.now(UTC) + timedelta(seconds=2)
    id_ = failed(store, expires_at=expires)
    assert wakes(store, id_) == set()
    job = client.retry(id_)
    assert job.expires_at is not None
    assert abs(job.expires_at - expires) < timedelta(milliseconds=1)
    assert wakes(store, id_) == {"expiry"}
    wait_until(lambda: (store.dispatch.dispatch_due("w", 30), client.get(id_).state is JobState.EXPIRED)[1])


def test_a_deadline_that_has_passed_is_dropped(store: Store, client: SwapClient) -> None:
    id_ = submit(store, expires_at=datetime.now(UTC) + timedelta(milliseconds=20))
    wait_until(lambda: (store.dispatch.dispatch_due("w", 30), client.get(id_).state is JobState.EXPIRED)[1])
    assert client.retry(id_).expires_at is None
    assert wakes(store, id_) == set()
    assert claim(store, id_).job.id == id_


@pytest.mark.parametrize("stage", ["message out", "queued", "under way", "to be tried again"])
def test_a_webhook_that_is_still_pending_is_superseded(store: Store, client: SwapClient, stage: str) -> None:
    """The receiver is told of the end that counts, and a try under way can't settle it."""
    for _ in range(20 if stage == "queued" else 0):
        failed(store, callback_url=HOOK)  # fills the ready queue
    id_ = failed(store, callback_url=HOOK)
    claimed = None if stage in {"message out", "queued"} else deliver(store, id_)
    if stage == "to be tried again":
        assert claimed is not None
        store.deliveries.settle(claimed, "pending", status=503, entry=record.entry("webhook"), delay_s=60)
    standing = store.redis.zscore(keys.queue("webhooks", "hooks.example"), id_)
    assert (standing is not None) == (stage == "queued")
    webhook = client.retry(id_).webhook
    assert webhook is not None
    assert webhook.last_error is None
    assert (webhook.state, webhook.attempts, webhook.last_status, webhook.next_attempt_at) == ("none", 0, None, None)
    assert wakes(store, id_) == set()
    assert store.redis.zscore(keys.published("webhooks"), id_) is None
    assert store.redis.zscore(keys.queue("webhooks", "hooks.example"), id_) is None
    assert store.deliveries.claim(id_, 30) is None
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    if claimed:
        assert settle(store, claimed) == "fenced"
    while stage == "queued" and store.redis.zscore(keys.published("webhooks"), id_) is None:
        settle(store, deliver(store, str(store.redis.zrange(keys.published("webhooks"), 0, 0)[0])))
    new = deliver(store, id_)
    assert event_of(new).type == "swap.succeeded"
    assert settle(store, new) == "ok"
    webhook = client.get(id_).webhook
    assert webhook is not None
    assert (webhook.state, webhook.attempts, webhook.last_status) == ("delivered", 1, 200)


def test_every_end_of_a_job_has_a_webhook_id_of_its_own(store: Store, client: SwapClient) -> None:
    """Receivers drop an id that they have seen: also where the vendor's id stays the same."""
    id_ = submit(store, callback_url=HOOK)
    claim(store, id_)
    client.cancel(id_)
    first = deliver(store, id_)
    settle(store, first)
    client.retry(id_)
    store.attempts.record_outcome(claim(store, id_), Event.FAIL, patch={"next_call": "swap"}, entry=NO_FACE)
    second = deliver(store, id_)
    settle(store, second)
    client.retry(id_)
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    third = deliver(store, id_)
    assert [item.delivery.number("generation", 1) for item in (first, second, third)] == [1, 1, 2]
    assert len({message_id(item) for item in (first, second, third)}) == 3
    assert [event_of(item).type for item in (first, second, third)] == [
        "swap.cancelled",
        "swap.failed",
        "swap.succeeded",
    ]


@pytest.mark.parametrize("state", ["queued", "running", "waiting", "succeeded"])
def test_what_is_not_a_finished_failure_cannot_be_retried(store: Store, client: SwapClient, state: str) -> None:
    id_ = submit(store)
    claimed = claim(store, id_) if state != "queued" else None
    if claimed and state == "waiting":
        store.attempts.record_outcome(claimed, Event.WAIT, patch={}, schedule="poll", delay_s=60)
    if claimed and state == "succeeded":
        store.attempts.record_outcome(claimed, Event.SUCCEED, patch={})
    before = store.jobs.get(id_)
    with pytest.raises(NotRetryable, match=f"is {state}: only failed, cancelled and expired jobs can be retried"):
        client.retry(id_)
    assert store.jobs.get(id_) == before


def test_unknown_and_gone_jobs_are_told_apart(store: Store, client: SwapClient) -> None:
    with pytest.raises(JobNotFound, match="nosuchjob"):
        client.retry("nosuchjob")
    id_ = failed(store)
    store.redis.delete(keys.job(id_))
    with pytest.raises(JobGone):
        client.retry(id_)
    assert store.jobs.retry(["nosuchjob", id_]) == ["gone", "gone"]


def test_a_full_redis_refuses_a_retry_and_changes_nothing(store: Store, client: SwapClient) -> None:
    """It would keep what was about to expire; what is accepted already needs the room."""
    id_ = failed(store)
    before = store.jobs.get(id_)
    store.redis.config_set("maxmemory", store.redis.info("memory")["used_memory"] // 2)
    try:
        with pytest.raises(QueueFull):
            client.retry(id_)
    finally:
        store.redis.config_set("maxmemory", 0)
    poke(store.redis, memory_full=1)  # as the dispatcher notes shortly before
    with pytest.raises(QueueFull):
        next(client.retry_many(tenant="default"))
    assert store.jobs.get(id_) == before


def test_a_plain_celery_producers_task_id_will_do(store: Store, client: SwapClient) -> None:
    id_ = failed(store)
    store.redis.set(keys.alias("its-own-task-id"), id_)
    assert client.retry("its-own-task-id").id == id_


# -- many


@pytest.fixture
def mixed(store: Store, client: SwapClient) -> dict[str, str]:
    """Jobs of all sorts by name; each name tells batch, tenant and how the job stands."""
    jobs = {
        "a shop no_face": failed(store, batch_id="a", tenant="shop"),
        "a default no_face": failed(store, batch_id="a"),
        "b default no_face": failed(store, batch_id="b"),
        "a default timeout": submit(store, batch_id="a"),
        "a default cancelled": submit(store, batch_id="a"),
        "a default expired": submit(store, batch_id="a", expires_at=datetime.now(UTC) + timedelta(milliseconds=10)),
        "a default queued": submit(store, batch_id="a"),
        "a default succeeded": submit(store, batch_id="a"),
        "a default again": failed(store, batch_id="a"),
        "- default no_face": failed(store),
    }
    fail(store, jobs["a default timeout"], record.entry("error", code="vendor_timeout", message="too long"))
    client.cancel(jobs["a default cancelled"])
    store.attempts.record_outcome(claim(store, jobs["a default succeeded"]), Event.SUCCEED, patch={})
    client.retry(jobs["a default again"])  # its old error no longer counts
    wait_until(
        lambda: (store.dispatch.dispatch_due("w", 30), client.get(jobs["a default expired"]).state is JobState.EXPIRED)[
            1
        ]
    )
    return jobs


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"batch_id": "a"}, {"a shop no_face", "a default no_face", "a default timeout"}),
        ({"batch_id": "a", "tenant": "shop"}, {"a shop no_face"}),
        ({"tenant": "shop"}, {"a shop no_face"}),
        (
            {"error_code": "no_face"},
            {"a shop no_face", "a default no_face", "b default no_face", "- default no_face"},
        ),
        ({"error_code": "vendor_timeout", "batch_id": "b"}, set()),
        ({"error_code": ErrorCode.EXPIRED}, {"a default expired"}),
        (
            {"batch_id": "a", "states": {JobState.CANCELLED, JobState.EXPIRED}},
            {"a default cancelled", "a default expired"},
        ),
        ({"batch_id": "a", "error_code": "no_face", "states": [JobState.EXPIRED]}, set()),
        ({"batch_id": ""}, set()),
        ({"batch_id": "nosuch"}, set()),
    ],
)
def test_jobs_are_chosen_by_all_that_is_given(
    client: SwapClient, mixed: dict[str, str], chosen: dict[str, Any], expected: set[str]
) -> None:
    before = {name: client.get(id_) for name, id_ in mixed.items()}
    names = {id_: name for name, id_ in mixed.items()}
    assert {names[id_] for id_ in client.retry_many(**chosen)} == expected

    def as_expected(name: str, job: Job) -> bool:
        return job.state is JobState.QUEUED if name in expected else job == before[name]

    assert all(as_expected(name, client.get(id_)) for name, id_ in mixed.items())
    assert list(client.retry_many(**chosen)) == []


@pytest.mark.parametrize(
    ("chosen", "output"),
    [
        ({}, "give a batch_id, an error_code or a tenant"),
        ({"states": {JobState.FAILED}}, "give a batch_id, an error_code or a tenant"),
        ({"error_code": "no_faces"}, "error_code: must be one of invalid_request, swap_failed, no_face, "),
        ({"tenant": "x", "states": {JobState.SUCCEEDED}}, "states: must be of cancelled, expired, failed"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused_at_once(
    client: SwapClient, chosen: dict[str, Any], output: str
) -> None:
    with pytest.raises(InvalidRequest, match=output):
        client.retry_many(**chosen)


def test_many_are_retried_lazily_and_each_once_though_they_fail_again_meanwhile(
    store: Store, client: SwapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SCAN promises to show every record, not to show it only once."""
    redis: Any = client._store.redis  # noqa: SLF001 - to let it show everything twice
    really, again = redis.scan, "all over again"

    def scan(cursor: Any, **options: Any) -> Any:
        after, result = really(0 if cursor == again else cursor, **options)
        begin_again = after == 0 and cursor != again and len(scans) == 0
        scans.extend([1] * begin_again)
        return again if begin_again else after, result * 2

    scans: list[int] = []
    monkeypatch.setattr(redis, "scan", scan)
    ids = {failed(store, tenant="shop") for _ in range(450)}
    shown: list[str] = []
    for id_ in client.retry_many(tenant="shop"):
        if not shown:
            assert sum(client.get(item).state is JobState.QUEUED for item in ids) <= 25
        shown.append(id_)
        if store.redis.zscore(keys.published("interactive"), id_) is not None:
            fail(store, id_)
    assert sorted(shown) == sorted(ids)
    assert scans


def test_a_job_that_was_cancelled_while_it_was_given_up_is_asked_for_first(store: Store, client: SwapClient) -> None:
    """The vendor may still have it: the retry must not buy it again."""
    id_ = submit(store)
    claimed = claim(store, id_)
    client.cancel(id_)
    assert store.attempts.record_outcome(claimed, Event.FAIL, patch={"next_call": "query"}) == "cancelled"
    client.retry(id_)
    assert claim(store, id_).call == "query"


def test_a_picture_that_came_after_the_cancel_is_asked_for_and_not_bought_again(
    store: Store, client: SwapClient
) -> None:
    id_ = submit(store)
    claimed = claim(store, id_)
    client.cancel(id_)
    assert store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, signal="answer") == "late"
    client.retry(id_)
    again = claim(store, id_)
    assert (again.call, again.job.number("generation", 1)) == ("query", 1)
