"""Endpoints and their deliveries, real scripts on a fake clock: who is told, when, how often, and until when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support import records
from support.builders import claim, job_of, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs import InvalidRequest, NotRetryable, SettingsError
from swapjobs.client.endpoints import MAX_ENDPOINTS
from swapjobs.client.webhooks import Webhooks
from swapjobs.contract.errors import DeliveryNotFound, EndpointNotFound
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys, record
from swapworker.delivery.event import event_of, message_id
from swapworker.delivery.executor import Deliveries
from swapworker.delivery.sender import Delivery, WebhookSender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.claims import DeliveryClaim
    from swapjobs.store.store import Store
    from swapworker.delivery.sender import Style

HOUR = 3600.0
HOOK = "https://own.example/in"
MASTER = "whsec_" + "A" * 43 + "="
DOWN = Delivery(ok=False, status=None, duration_ms=5, reason="connection refused")
GOOD = Delivery(ok=True, status=204, duration_ms=5)


@pytest.fixture
def settings(redis_url: str) -> WorkerSettings:
    return WorkerSettings(redis_url=redis_url, webhook_master_secret=MASTER, rate_limit=Rate("1000/s"))


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as store:
        yield store


@pytest.fixture
def clock(store: Store) -> FakeClock:
    return FakeClock(store.redis)


@pytest.fixture
def webhooks(store: Store, settings: WorkerSettings) -> Webhooks:
    return Webhooks(store, settings)


class Scripted(WebhookSender):
    """A receiver at the other end of no wire: it answers each URL as it was told to."""

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(settings)
        self.answers: dict[str, Delivery] = {}
        self.sent: list[tuple[str, str, str]] = []
        self.styles: list[Style] = []

    def send(self, url: str, message_id: str, event_json: str, *, style: Style = "standard", **_: Any) -> Delivery:
        self.sent.append((url, message_id, event_json))
        self.styles.append(style)
        return self.answers.get(url, GOOD)


@pytest.fixture
def receiver(settings: WorkerSettings) -> Scripted:
    return Scripted(settings)


@pytest.fixture
def worker(store: Store, settings: WorkerSettings, receiver: Scripted) -> Deliveries:
    return Deliveries(store.deliveries, receiver, settings, tell_product=lambda _: None, random=lambda: 0.5)


def ended(store: Store, event: Event = Event.SUCCEED, **fields: Any) -> str:
    id_ = submit(store, **fields)
    store.attempts.record_outcome(claim(store, id_), event, patch={})
    return id_


def work(store: Store, worker: Deliveries) -> int:
    """Do what lies on the ready queue; return how many tries that were."""
    tries = 0
    while popped := store.redis.rpop(keys.READY[keys.WEBHOOKS]):
        tries += worker.run(job_of(popped)) is not None
    return tries


def work_on(store: Store, worker: Deliveries, clock: FakeClock, hours: float, step_s: float = 600) -> int:
    """Let time pass, with a dispatcher and a worker that are never late."""
    tries = 0
    for _ in range(int(hours * HOUR / step_s)):
        clock.move(step_s)
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
        tries += work(store, worker)
    return tries


def taken(store: Store) -> DeliveryClaim:
    """Claim the delivery whose message is next."""
    claimed = store.deliveries.claim(job_of(store.redis.rpop(keys.READY[keys.WEBHOOKS])), 30)
    assert claimed is not None
    return claimed


# -- who is told


def test_an_event_goes_to_the_jobs_url_and_to_every_endpoint_that_wants_it(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted
) -> None:
    webhooks.add("https://all.example/in")
    webhooks.add("https://failed.example/in", events=["swap.failed"])
    webhooks.add("https://other.example/in", tenant="other")
    webhooks.update(webhooks.add("https://off.example/in").id, enabled=False)
    id_ = ended(store, callback_url=HOOK)
    assert work(store, worker) == 2
    assert {url for url, _, _ in receiver.sent} == {HOOK, "https://all.example/in"}
    assert {message for _, message, _ in receiver.sent} == {f"msg_{id_}_1_1"}
    assert len({body for _, _, body in receiver.sent}) == 1
    listed = webhooks.deliveries().deliveries
    assert {(item.state, item.event, item.subject) for item in listed} == {("delivered", "swap.succeeded", id_)}
    assert webhooks.deliveries(tenant="other").deliveries == []


def test_without_endpoints_the_end_of_a_job_costs_no_command_more(store: Store, webhooks: Webhooks) -> None:
    def commands() -> dict[str, int]:
        seen: Any = store.redis.info("commandstats")
        return {name: item["calls"] for name, item in seen.items()}

    claimed, before = claim(store, submit(store)), commands()
    store.attempts.record_outcome(
        claimed, Event.SUCCEED, patch={}, entry=record.entry("result", output_url="https://out.example/1")
    )
    after = commands()
    used = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert "cmdstat_smembers" not in used
    assert "cmdstat_sadd" not in used
    endpoint = webhooks.add("https://all.example/in")
    ended(store)
    assert commands()["cmdstat_smembers"] > after.get("cmdstat_smembers", 0), "else this test would prove nothing"
    webhooks.remove(endpoint.id)
    assert store.dispatch.inspect().numbers["endpoints"] == 0


def test_the_record_of_a_job_lives_until_all_that_tell_of_it_have_ended(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    webhooks.add("https://one.example/in")
    webhooks.add("https://two.example/in")
    receiver.answers["https://two.example/in"] = DOWN
    id_ = ended(store)
    work(store, worker)
    assert store.redis.ttl(keys.job(id_)) == -1
    receiver.answers.clear()
    work_on(store, worker, clock, 1)
    assert store.redis.ttl(keys.job(id_)) > 0
    kinds = (
        keys.job(""),
        keys.delivery(""),
        keys.deliveries(""),
        keys.job_deliveries(""),
        keys.host(""),
    )
    left = [str(key) for key in store.redis.scan_iter("swapjobs:*") if store.redis.ttl(key) == -1]
    assert not [key for key in left if key.startswith((*kinds, keys.undelivered("")))]


# -- the schedule


def test_a_receiver_that_is_down_for_good_gets_ten_tries_in_three_days(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    receiver.answers[HOOK] = DOWN
    id_ = ended(store, callback_url=HOOK)
    assert work(store, worker) == 1
    assert work_on(store, worker, clock, 75, step_s=300) == 8
    assert webhooks.delivery(id_).state == "pending"
    assert work_on(store, worker, clock, 5, step_s=300) == 1
    result = webhooks.delivery(id_)
    assert (result.state, [item.number for item in result.tries]) == ("undelivered", list(range(1, 11)))
    assert 74 * HOUR < (result.tries[-1].at - result.created_at).total_seconds() < 78 * HOUR
    assert work_on(store, worker, clock, 30) == 0
    assert len({message for _, message, _ in receiver.sent}) == 1
    assert len({body for _, _, body in receiver.sent}) == 1


def test_what_stood_behind_a_dead_host_for_longer_than_the_schedule_is_given_up(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    receiver.answers[HOOK] = DOWN
    ids = [ended(store, callback_url=HOOK) for _ in range(100)]
    work_on(store, worker, clock, 100, step_s=400)
    states = {webhooks.delivery(id_).state for id_ in ids}
    assert states == {"undelivered"}
    assert len(receiver.sent) < 1000, "the breaker held most of them back"
    assert store.dispatch.inspect().numbers["deliveries_pending"] == 0


def test_the_receivers_own_wish_is_respected(
    store: Store, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    receiver.answers[HOOK] = Delivery(ok=False, status=429, duration_ms=5, reason="slow down", retry_after_s=1800)
    ended(store, callback_url=HOOK)
    work(store, worker)
    assert work_on(store, worker, clock, 0.4, step_s=60) == 0
    assert work_on(store, worker, clock, 0.2, step_s=60) == 1


def test_a_callback_the_vendors_way_has_the_vendors_body_and_schedule(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    webhooks.add("https://one.example/in")
    receiver.answers[HOOK] = Delivery(ok=False, status=200, duration_ms=5, reason="without the code 200 in its JSON")
    id_ = ended(store, callback_url=HOOK, callback_style="vendor")
    work(store, worker)
    assert sorted(receiver.styles) == ["standard", "vendor"]
    work_on(store, worker, clock, 4, step_s=1)
    result = webhooks.delivery(id_)
    assert (result.state, len(result.tries)) == ("undelivered", 10)
    bodies = {json.loads(body)["code"] for url, _, body in receiver.sent if url == HOOK}
    assert bodies == {"200"}


# -- the end of endpoints


def test_410_disables_an_endpoint_and_what_is_pending_for_it_is_given_up(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    url = "https://gone.example/in"
    gone, other = webhooks.add(url), webhooks.add("https://other.example/in", events=["endpoint.disabled"])
    receiver.answers[url] = DOWN
    ended(store)
    work(store, worker)
    receiver.answers[url] = Delivery(ok=False, status=410, duration_ms=5, reason="the receiver answered 410", gone=True)
    ended(store)
    work(store, worker)
    clock.move(1)
    store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
    work(store, worker)
    result = webhooks.endpoint(gone.id)
    assert (result.state, result.disabled_reason) == ("disabled", "the receiver answered 410")
    listed = webhooks.deliveries(endpoint_id=gone.id).deliveries
    assert [item.state for item in listed] == ["undelivered", "undelivered"]
    assert any("disabled: the receiver answered 410" in item.tries[-1].reason for item in listed)
    ((_, _, body),) = [sent for sent in receiver.sent if sent[0] == other.url]
    event = json.loads(body)
    assert (event["type"], event["data"]["url"]) == ("endpoint.disabled", url)


def test_an_endpoint_that_fails_for_five_days_is_disabled(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    url = "https://down.example/in"
    endpoint = webhooks.add(url)
    receiver.answers[url] = Delivery(ok=False, status=404, duration_ms=5, reason="404")
    for day in range(6):
        ended(store)
        assert webhooks.endpoint(endpoint.id).state == "enabled", day
        work(store, worker)
        work_on(store, worker, clock, 24)
    result = webhooks.endpoint(endpoint.id)
    assert (result.state, result.disabled_reason) == ("disabled", "it has failed for 5 days")
    assert {delivery.state for delivery in webhooks.deliveries().deliveries} == {"undelivered"}
    count = len(webhooks.deliveries().deliveries)
    ended(store)
    assert len(webhooks.deliveries().deliveries) == count
    webhooks.update(endpoint.id, enabled=True)
    assert webhooks.endpoint(endpoint.id).failing_since is None


def test_one_success_in_five_days_keeps_an_endpoint(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    endpoint = webhooks.add("https://down.example/in")
    for day in range(8):
        ok = day == 4
        receiver.answers[endpoint.url] = GOOD if ok else Delivery(ok=False, status=404, duration_ms=5, reason="404")
        ended(store)
        work(store, worker)
        work_on(store, worker, clock, 24)
    assert webhooks.endpoint(endpoint.id).state == "enabled"


@pytest.mark.parametrize("stage", ["queued", "message out", "claimed", "waiting"])
def test_an_endpoint_is_removed_while_deliveries_are_pending(
    store: Store, webhooks: Webhooks, clock: FakeClock, stage: str
) -> None:
    endpoint = webhooks.add("https://one.example/in")
    ids = [ended(store) for _ in range(30 if stage == "queued" else 1)]
    claimed = taken(store) if stage in {"claimed", "waiting"} else None
    if claimed and stage == "waiting":
        output: dict[str, Any] = {"status": 500, "entry": record.entry("webhook", at=1, number=1, duration_ms=1)}
        store.deliveries.settle(claimed, "pending", delay_s=3600, **output)
    webhooks.remove(endpoint.id)
    for _ in range(3):
        clock.move(1)
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
    result = webhooks.deliveries(limit=100).deliveries
    assert [item.state for item in result] == ["undelivered"] * len(ids)
    assert {item.tries[-1].reason for item in result} == {"the endpoint was removed"}
    if claimed and stage == "claimed":
        assert store.deliveries.settle(claimed, "delivered", status=200, entry="") == "fenced"
    assert all(store.redis.ttl(keys.job(id_)) > 0 for id_ in ids)
    with pytest.raises(EndpointNotFound):
        webhooks.endpoint(endpoint.id)


def test_a_new_url_gets_what_is_pending(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    endpoint = webhooks.add("https://old.example/in")
    receiver.answers[endpoint.url] = DOWN
    ended(store)
    work(store, worker)
    webhooks.update(endpoint.id, url="https://new.example/in")
    work_on(store, worker, clock, 0.1, step_s=10)
    assert [url for url, _, _ in receiver.sent] == ["https://old.example/in", "https://new.example/in"]


# -- the job goes on, and replay


def test_a_retry_of_the_job_supersedes_what_is_pending(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted
) -> None:
    webhooks.add("https://one.example/in")
    id_ = ended(store, Event.FAIL)
    slow = taken(store)
    assert store.jobs.retry([id_]) == ["ok"]
    assert store.deliveries.settle(slow, "delivered", status=200, entry="") == "fenced"
    (old,) = webhooks.deliveries().deliveries
    assert (old.state, old.tries[-1].reason) == ("undelivered", "the job was retried")
    with pytest.raises(NotRetryable, match="retried since"):
        webhooks.replay(old.id)
    assert store.redis.ttl(keys.job(id_)) == -1
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    work(store, worker)
    assert [json.loads(body)["type"] for _, _, body in receiver.sent] == ["swap.succeeded"]
    assert receiver.sent[0][1] != message_id(slow)
    with pytest.raises(NotRetryable, match="retried since"):
        webhooks.replay(old.id)


@pytest.mark.parametrize("own", [True, False])
def test_replay_begins_anew_with_the_same_id_and_fences_off_a_try_under_way(
    store: Store, webhooks: Webhooks, *, own: bool
) -> None:
    if not own:
        webhooks.add("https://one.example/in")
    ended(store, callback_url=HOOK if own else None)
    first = taken(store)
    assert webhooks.replay(first.id).state == "pending"
    assert store.deliveries.settle(first, "delivered", status=200, entry="") == "fenced"
    second = taken(store)
    assert (message_id(second), event_of(second)) == (message_id(first), event_of(first))
    result: dict[str, Any] = {"status": 200, "entry": record.entry("webhook", at=1, number=1, duration_ms=1)}
    assert store.deliveries.settle(second, "delivered", **result) == "ok"
    assert webhooks.replay(second.id).state == "pending"
    assert store.redis.ttl(record.key_of(second.id)) == -1
    assert store.deliveries.settle(taken(store), "delivered", **result) == "ok"
    assert store.redis.ttl(record.key_of(second.id)) > 0
    host = store.redis.hgetall(keys.host("own.example" if own else "one.example"))
    assert (host["in_flight"], host["messages"]) == ("0", "0")


def test_replay_since_takes_what_was_not_delivered_and_nothing_else(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    refused = Delivery(ok=False, status=410, duration_ms=1, reason="410", gone=True)
    receiver.answers[HOOK] = refused
    ended(store, callback_url=HOOK)
    work(store, worker)
    clock.move(60)
    since = record.unpack("x", records.packed({"at": str(int(clock.now_s * 1000))})).time("at")
    assert since is not None
    ids = {ended(store, callback_url=HOOK) for _ in range(250)}  # all in one millisecond
    work(store, worker)
    receiver.answers.clear()
    good = ended(store, callback_url=HOOK)
    work(store, worker)
    receiver.sent.clear()
    pages, cursor = [], None
    while True:
        page = webhooks.deliveries(state="undelivered", after=since, cursor=cursor, limit=70)
        pages += [delivery.id for delivery in page.deliveries]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(pages) == sorted(ids)
    assert set(webhooks.replay_since(since)) == ids
    work_on(store, worker, clock, 0.05, step_s=1)
    assert len(receiver.sent) == 250
    assert {delivery.state for delivery in webhooks.deliveries(after=since, limit=500).deliveries} == {"delivered"}
    assert good not in ids


# -- limits, and what a user may get wrong


def test_a_tenant_has_twenty_endpoints_at_most(webhooks: Webhooks) -> None:
    for number in range(MAX_ENDPOINTS):
        webhooks.add(f"https://{number}.example/in")
    with pytest.raises(InvalidRequest, match="has 20 endpoints already"):
        webhooks.add("https://one-too-many.example/in")
    webhooks.add("https://other.example/in", tenant="other")


def test_without_a_master_secret_the_error_says_how_to_make_one(store: Store, redis_url: str) -> None:
    with pytest.raises(SettingsError, match="openssl rand -base64 32"):
        Webhooks(store, WorkerSettings(redis_url=redis_url)).add("https://one.example/in")
    assert Webhooks(store, WorkerSettings(redis_url=redis_url)).endpoints() == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "ftp://one.example"}, "url: "),
        ({"url": "https://one.example:0/in"}, "url: "),
        ({"url": "https://0177.1/in"}, "url: "),
        ({"url": "https://one.example", "events": ["swap.done"]}, "events: must be one of swap.succeeded, "),
        ({"url": "https://one.example", "tenant": "no tenant"}, "tenant: "),
    ],
)
def test_what_is_wrong_is_named(webhooks: Webhooks, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        webhooks.add(**given)


def test_nothing_is_told_of_another_tenants_things(store: Store, webhooks: Webhooks) -> None:
    endpoint = webhooks.add("https://one.example/in")
    ended(store)
    (delivery,) = webhooks.deliveries().deliveries
    by_endpoint: list[Any] = [webhooks.endpoint, webhooks.rotate, webhooks.secret, webhooks.remove, webhooks.test]
    for call in by_endpoint:
        with pytest.raises(EndpointNotFound):
            call(endpoint.id, tenant="other")
    with pytest.raises(EndpointNotFound):
        webhooks.update(endpoint.id, tenant="other", enabled=False)
    by_delivery: list[Any] = [webhooks.delivery, webhooks.replay]
    for call in by_delivery:
        with pytest.raises(DeliveryNotFound):
            call(delivery.id, tenant="other")
    assert webhooks.endpoints(tenant="other") == []
    assert webhooks.endpoint(endpoint.id).state == "enabled"


def test_a_host_gets_few_tries_while_it_fails_and_many_when_it_answers(
    store: Store, webhooks: Webhooks, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    endpoint = webhooks.add("https://busy.example/in")
    for _ in range(100):
        webhooks.test(endpoint.id)
    assert store.redis.llen(keys.READY[keys.WEBHOOKS]) == 4
    receiver.answers[endpoint.url] = DOWN
    assert work(store, worker) == 5
    assert store.redis.zscore(keys.schedule(), "host:busy.example") is not None
    probes = work_on(store, worker, clock, 0.25, step_s=1)
    assert probes < 15, "the pause doubles"
    receiver.answers.clear()
    work_on(store, worker, clock, 3, step_s=30)
    assert store.dispatch.inspect().numbers["deliveries_pending"] == 0
    assert int(store.redis.hget(keys.host("busy.example"), "tries") or 0) == 12


def test_a_dead_host_leaves_nothing_behind_when_its_deliveries_have_ended(
    store: Store, worker: Deliveries, receiver: Scripted, clock: FakeClock
) -> None:
    receiver.answers[HOOK] = DOWN
    id_ = ended(store, callback_url=HOOK)
    work(store, worker)
    work_on(store, worker, clock, 90)
    assert store.jobs.get(id_).fields["delivery_state"] == "undelivered"
    stored = {keys.blocked(keys.WEBHOOKS), keys.fair(keys.WEBHOOKS), keys.queue(keys.WEBHOOKS, "own.example")}
    assert store.redis.exists(*stored) == 0
    assert store.redis.ttl(keys.host("own.example")) > 0


def test_a_secret_is_in_no_repr(webhooks: Webhooks) -> None:
    made = webhooks.add("https://one.example/in")
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)


def test_a_replay_goes_on_from_a_cursor_and_takes_none_twice(
    store: Store, webhooks: Webhooks, worker: Deliveries, clock: FakeClock
) -> None:
    webhooks.add("https://one.example/in")
    began = datetime.fromtimestamp(clock.now_s - 1, UTC)
    for _ in range(150):
        ended(store)
        clock.move(0.001)
    work(store, worker)
    first, cursor = webhooks.replay_some(began, state="delivered")
    assert cursor is not None
    clock.move(60)
    store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
    work(store, worker)  # they are delivered again before the next look
    second, _ = webhooks.replay_some(began, state="delivered", cursor=cursor)
    assert (len(first), len(second), len({*first, *second})) == (100, 50, 150)
    with pytest.raises(InvalidRequest):
        webhooks.replay_some(began, cursor="yesterday")
