"""Batches: what they count, when they are complete, and what is done to all their jobs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from support.announced import LISTENER, announced
from support.builders import claim, job_of, make_request, submit, wait_until
from support.fake_clock import FakeClock, clocked_store
from swapjobs import BatchClosed, BatchNotFound, InvalidRequest, JobState, SwapClient
from swapjobs.client.batches import Batches
from swapjobs.client.webhooks import Webhooks
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys
from swapjobs.store.batches import batch_of
from swapjobs.store.claims import NotClaimed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

TTL_S = 600


@pytest.fixture
def batches(store: Store, settings: WorkerSettings) -> Batches:
    secret = SecretStr("whsec_" + base64.b64encode(bytes(32)).decode())
    hooks = Webhooks(store, settings.model_copy(update={"webhook_master_secret": secret}))
    hooks.add(LISTENER, events=("batch.completed",))
    return Batches(store)


@pytest.fixture
def clocked(settings: WorkerSettings) -> Iterator[tuple[Store, FakeClock]]:
    with clocked_store(settings.model_copy(update={"result_ttl_s": TTL_S})) as store:
        yield store, FakeClock(store.redis)


def end(store: Store, id_: str, event: Event = Event.SUCCEED, code: str = "no_face") -> None:
    patch = {"next_call": "swap", "code": code} if event is Event.FAIL else {}
    assert store.attempts.record_outcome(claim(store, id_), event, patch=patch, entry="{}", signal="answer") == "ok"


def hinted(store: Store) -> list[str]:
    """Return the jobs on the ready queues, in the order in which workers get them."""
    return [job_of(message) for lane in keys.READY.values() for message in store.redis.lrange(lane, 0, -1)[::-1]]


def dispatch(store: Store, steps: int = 1) -> None:
    for _ in range(steps):
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)


def many(store: Store, number: int, **fields: Any) -> list[str]:
    answer = (store.jobs.submit(make_request(**fields) for _ in range(100)) for _ in range(number // 100))
    return [str(item.id) for block in answer for item in block]


def test_a_batch_counts_its_jobs_in_every_state(store: Store, batches: Batches) -> None:
    ids = [submit(store, batch_id="b") for _ in range(6)]
    end(store, ids[0])
    end(store, ids[1], Event.FAIL, "no_face")
    end(store, ids[2], Event.FAIL, "image_unreachable")
    store.jobs.cancel(ids[3])
    claim(store, ids[4])
    batch = batches.get("b")
    assert {state: number for state, number in batch.counts.items() if number} == {
        JobState.SUCCEEDED: 1,
        JobState.FAILED: 2,
        JobState.CANCELLED: 1,
        JobState.RUNNING: 1,
        JobState.QUEUED: 1,
    }
    assert batch.total == 6
    assert batch.errors == {"no_face": 1, "image_unreachable": 1}
    store.jobs.retry([ids[1]])
    assert batches.get("b").errors == {"image_unreachable": 1}


def test_a_job_that_is_there_already_counts_nothing(store: Store, batches: Batches) -> None:
    request = make_request(batch_id="b")
    assert [item.outcome for item in store.jobs.submit([request, request])] == ["created", "existing"]
    late = request.model_copy(update={"batch_id": "c"})
    assert store.jobs.submit([late])[0].outcome == "existing"
    assert batches.get("b").total == 1
    with pytest.raises(BatchNotFound):
        batches.get("c")


def test_a_closed_batch_takes_no_new_job_but_knows_its_own(client: SwapClient) -> None:
    request = make_request(batch_id="b")
    known = client.submit(request)
    client.batches.close("b")
    assert client.submit(request).id == known.id
    with pytest.raises(BatchClosed):
        client.submit(make_request(batch_id="b"))
    (answer,) = client.submit_many([make_request(batch_id="b")])
    assert (answer.id, answer.outcome) == (None, "invalid")
    assert "closed" in (answer.error or "")
    assert client.batches.get("b").total == 1


def test_a_batch_is_completed_once_when_it_is_closed_and_all_is_final(store: Store, batches: Batches) -> None:
    ids = [submit(store, batch_id="b") for _ in range(2)]
    batches.open("b", callback_url="https://example.com/done")
    end(store, ids[0])
    batches.close("b")
    assert batches.get("b").state == "closed"
    assert not announced(store.redis)
    end(store, ids[1], Event.FAIL)
    batches.close("b")
    store.jobs.cancel(ids[1])
    assert batches.get("b").state == "completed"
    (event,) = announced(store.redis, "b")
    assert (event["succeeded"], event["failed"], event["callback_url"]) == ("1", "1", "https://example.com/done")


def test_a_batch_that_is_closed_last_is_completed_by_that(store: Store, batches: Batches) -> None:
    end(store, submit(store, batch_id="b"))
    assert not announced(store.redis)
    assert batches.close("b").state == "completed"
    assert len(announced(store.redis, "b")) == 1


def test_an_empty_batch_is_completed_when_it_is_closed(batches: Batches, store: Store) -> None:
    batch = batches.open()
    assert (batch.state, batch.total) == ("open", 0)
    assert batches.close(batch.id).state == "completed"
    assert len(announced(store.redis, batch.id)) == 1


def test_a_retry_makes_a_completed_batch_closed_again_in_a_new_round(store: Store, batches: Batches) -> None:
    ids = [submit(store, batch_id="b") for _ in range(2)]
    batches.close("b")
    for id_ in ids:
        end(store, id_, Event.FAIL)
    assert batches.get("b").state == "completed"
    store.jobs.retry(ids)
    batch = batches.get("b")
    assert (batch.state, batch.round, batch.completed_at) == ("closed", 2, None)
    assert store.redis.ttl(keys.batch("default", "b")) == -1
    for id_ in ids:
        end(store, id_)
    assert [event["round"] for event in announced(store.redis, "b")] == ["1", "2"]


def test_batches_of_two_tenants_are_two(batches: Batches, store: Store) -> None:
    submit(store, batch_id="b")
    batches.open("b", tenant="another")
    assert batches.get("b", tenant="another").total == 0
    with pytest.raises(BatchNotFound):
        batches.cancel("b", tenant="third")


def test_jobs_of_a_paused_batch_let_others_pass_and_keep_their_places(store: Store, batches: Batches) -> None:
    first = submit(store, batch_id="b")
    batches.pause("b")
    assert store.attempts.claim(first, 30) == NotClaimed("batch_held"), "its message was out already"
    paused = many(store, 1000, batch_id="b")
    other = submit(store)
    dispatch(store, 10)
    assert hinted(store)[-1:] == [other]
    assert not set(paused) & set(hinted(store)[-1:])
    assert batches.get("b").counts[JobState.QUEUED] == 1001
    store.redis.delete(keys.READY["interactive"])
    store.redis.delete(keys.published("interactive"))
    assert batches.resume("b").operation is None
    dispatch(store)
    assert hinted(store)[:8] == [first, *paused[:7]]


def test_a_paused_batch_of_one_tenant_does_not_hold_up_another(store: Store, batches: Batches) -> None:
    batches.open("b", tenant="x")
    batches.pause("b", tenant="x")
    many(store, 2000, batch_id="b", tenant="x")
    other = [submit(store, tenant="y") for _ in range(3)]
    dispatch(store, 12)
    assert set(other) <= set(hinted(store))
    assert store.redis.zcard(keys.held("x", "b")) == 2000


def test_what_runs_when_its_batch_is_paused_goes_on(store: Store, batches: Batches) -> None:
    running = claim(store, submit(store, batch_id="b"))
    batches.pause("b")
    assert store.attempts.confirm(running) == "ok"
    assert store.attempts.record_outcome(running, Event.SUCCEED, patch={}, signal="answer") == "ok"


def test_nothing_of_a_batch_starts_while_it_is_cancelled(store: Store, batches: Batches) -> None:
    ids = many(store, 600, batch_id="b")
    assert batches.cancel("b", patience_s=0).operation == "cancel"
    assert store.attempts.claim(ids[599], 30) == NotClaimed("queued"), "no message of it is out"
    assert store.attempts.claim(hinted(store)[0], 30) == NotClaimed("batch_held")


def test_cancelling_goes_on_where_it_was_whoever_goes_on(store: Store, batches: Batches) -> None:
    """Each step is one script; between two of them the client may die, and the dispatcher goes on."""
    many(store, 500, batch_id="b")
    running = claim(store, hinted(store)[0])
    batches.pause("b")
    batches.cancel("b", patience_s=0)
    assert store.batches.continue_operation("default", "b") == "more"
    assert batches.get("b").counts[JobState.CANCELLED] == 50
    late = submit(store, batch_id="b")
    dispatch(store, 20)
    batch = batches.get("b")
    assert (batch.operation, batch.counts[JobState.CANCELLED], batch.counts[JobState.QUEUED]) == (None, 500, 1)
    assert store.attempts.record_outcome(running, Event.SUCCEED, patch={}, signal="answer") == "late"
    assert store.jobs.get(late).fields["state"] == "queued", "it came after that"
    assert store.redis.zrange(keys.held("default", "b"), 0, -1) == [late], "the batch is still paused"
    batches.resume("b")
    dispatch(store)
    assert hinted(store)[-1] == late


def test_jobs_set_aside_by_a_cancel_come_back_after_it(store: Store, batches: Batches) -> None:
    many(store, 400, batch_id="b")
    batches.cancel("b", patience_s=0)
    late = submit(store, batch_id="b")
    for _ in range(60):
        for id_ in hinted(store):
            store.attempts.claim(id_, 30)  # held, and the next ones come
    assert store.redis.zscore(keys.held("default", "b"), late) is not None
    dispatch(store, 20)
    assert hinted(store)[-1] == late
    assert store.dispatch.inspect().numbers["batches_held"] == 0


def test_a_cancelled_or_expired_job_leaves_where_it_was_set_aside(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    batches = Batches(store)
    batches.open("b")
    batches.pause("b")
    gone = submit(store, batch_id="b")
    late = submit(store, batch_id="b", expires_at=datetime.fromtimestamp(clock.now_s + 5, UTC))
    assert store.redis.zcard(keys.held("default", "b")) == 2
    store.jobs.cancel(gone)
    clock.move(6)
    dispatch(store)
    assert not store.redis.exists(keys.held("default", "b"))
    assert batches.get("b").errors == {"expired": 1}
    assert store.jobs.get(late).fields["state"] == "expired"
    store.jobs.retry([gone])
    assert store.redis.zcard(keys.held("default", "b")) == 1


@pytest.mark.parametrize(("code", "expected"), [(None, 2), ("no_face", 1), ("expired", 0), ("swap_failed", 0)])
def test_the_failed_ones_are_retried_or_those_with_a_code(
    store: Store, batches: Batches, code: str | None, expected: int
) -> None:
    ids = [submit(store, batch_id="b") for _ in range(4)]
    end(store, ids[0], Event.FAIL, "no_face")
    end(store, ids[1], Event.FAIL, "image_unreachable")
    end(store, ids[2])
    store.jobs.cancel(ids[3])
    batch = batches.retry("b", error_code=code)
    assert (batch.counts[JobState.QUEUED], batch.counts[JobState.FAILED], batch.operation) == (
        expected,
        2 - expected,
        None,
    )


def test_a_retry_of_a_batch_does_not_retry_what_fails_again_meanwhile(store: Store, batches: Batches) -> None:
    ids = many(store, 100, batch_id="b")
    for id_ in ids:
        end(store, id_, Event.FAIL)
    batches.retry("b", patience_s=0)
    store.batches.continue_operation("default", "b")
    end(store, ids[0], Event.FAIL)
    dispatch(store, 20)
    batch = batches.get("b")
    assert (batch.counts[JobState.FAILED], batch.counts[JobState.QUEUED], batch.operation) == (1, 99, None)


def test_the_later_of_two_commands_holds(store: Store, batches: Batches) -> None:
    ids = many(store, 300, batch_id="b")
    end(store, ids[0], Event.FAIL)
    batches.retry("b", patience_s=0)
    batches.cancel("b", patience_s=0)
    dispatch(store, 20)
    batch = batches.get("b")
    assert (batch.operation, batch.counts[JobState.CANCELLED], batch.counts[JobState.FAILED]) == (None, 299, 1)


def test_jobs_that_vanish_while_their_batch_is_gone_through_are_passed_over(store: Store, batches: Batches) -> None:
    ids = many(store, 300, batch_id="b")
    for id_ in ids[::2]:
        store.jobs.cancel(id_)
        store.redis.delete(keys.job(id_))
    assert batches.cancel("b").counts[JobState.CANCELLED] == 300


def test_a_batch_is_kept_while_in_use_and_goes_when_it_is_not(clocked: tuple[Store, FakeClock]) -> None:
    """Also one that nobody closes; with all that belongs to it."""
    store, clock = clocked
    batches = Batches(store)
    batch, index = keys.batch("default", "b"), keys.index("default", "b")
    batches.open("b")
    assert 0 < store.redis.ttl(batch) <= TTL_S
    id_ = submit(store, batch_id="b")
    assert (store.redis.ttl(batch), store.redis.ttl(index)) == (-1, -1)
    end(store, id_)
    assert 0 < store.redis.ttl(batch) <= TTL_S
    assert 0 < store.redis.ttl(index) <= TTL_S
    batches.pause("b")
    store.redis.delete(batch, index)  # as if the time were over
    clock.move(TTL_S + 1)
    dispatch(store)
    assert batches.list() == ([], None)
    assert not store.redis.exists(keys.batches("default"), keys.held_batches())
    assert store.dispatch.inspect().numbers["batches_held"] == 0


def test_the_rate_and_the_end_are_told_while_there_is_something_left(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    batches = Batches(store)
    ids = many(store, 100, batch_id="b")
    for id_ in ids[:50]:
        clock.move(0.5)
        end(store, id_)
    fields = {**store.batches.get("default", "b"), "as_of": str(int(clock.now_s * 1000))}
    batch = batch_of("default", "b", fields)
    assert batch.rate_per_s == pytest.approx(2, rel=0.01)
    assert batch.estimated_end is not None
    assert batch.estimated_end.timestamp() == pytest.approx(clock.now_s + 25, abs=1)
    batches.pause("b")
    assert batches.get("b").estimated_end is None
    batches.cancel("b")
    assert batches.get("b").rate_per_s is None


def test_a_burst_at_the_start_is_not_taken_for_the_rate(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    ids = many(store, 100, batch_id="b")
    for number, id_ in enumerate(ids[:20]):
        clock.move(0.01 if number < 3 else 0.5)  # the first slots that are free end together
        end(store, id_)
    batch = batch_of("default", "b", {**store.batches.get("default", "b"), "as_of": str(int(clock.now_s * 1000))})
    rate = 19 / (2 * 0.01 + 17 * 0.5)
    assert batch.rate_per_s == pytest.approx(rate, rel=0.02)
    assert batch.estimated_end is not None
    assert batch.estimated_end.timestamp() == pytest.approx(clock.now_s + 80 / rate, abs=1)


def test_batches_are_listed_newest_first_page_by_page(batches: Batches, store: Store) -> None:
    ids = [batches.open(f"b{number}").id for number in range(5)]
    store.jobs.submit(make_request(batch_id=f"c{number}") for number in range(3))  # in the same ms
    first, cursor = batches.list(limit=4)
    store.redis.zrem(keys.batches("default"), first[-1].id)  # the cursor's own is gone meanwhile
    second, end_ = batches.list(limit=10, cursor=cursor)
    assert {item.id for item in (*first, *second)} == {*ids, "c0", "c1", "c2"}
    assert [item.id for item in second] == ids[3::-1]
    assert end_ is None
    with pytest.raises(InvalidRequest):
        batches.list(cursor="yesterday")


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("batch_id", lambda batches: batches.open("a:b")),
        ("tenant", lambda batches: batches.get("b", tenant="")),
        ("callback_url", lambda batches: batches.open("b", callback_url="nowhere")),
        ("callback_url", lambda batches: batches.open("b", callback_url="https://0177.1/in")),
        ("error_code", lambda batches: batches.retry("b", error_code="nonsense")),
        ("limit", lambda batches: batches.list(limit=0)),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(batches: Batches, field: str, call: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(batches)
    assert refused.value.field == field


def test_retry_many_finds_the_jobs_of_a_batch(client: SwapClient, store: Store) -> None:
    ids = [submit(store, batch_id="b"), submit(store)]
    for id_ in ids:
        assert store.attempts.record_outcome(
            claim(store, id_),
            Event.FAIL,
            patch={"code": "no_face"},
            entry='{"kind": "error", "code": "no_face", "message": ""}',
            signal="answer",
        )
    assert list(client.retry_many(batch_id="b", error_code="no_face")) == [ids[0]]
    assert client.get(ids[0]).batch_id == "b"


def test_every_change_of_a_state_is_told(store: Store) -> None:
    id_ = submit(store)
    pubsub: Any = store.redis.pubsub
    with pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.changed(id_))
        channel.get_message(timeout=1)
        store.attempts.record_outcome(claim(store, id_), Event.WAIT, patch={"reason": "retry"}, schedule="", signal="")
        end(store, id_, Event.FAIL)
        store.jobs.retry([id_])
        store.jobs.cancel(id_)
        states = []
        while message := channel.get_message(timeout=1):
            states.append(message["data"])
    assert states == ["running", "waiting", "running", "failed", "queued", "cancelled"]


def test_a_retry_is_one_round_also_where_jobs_end_before_the_last_is_requeued(store: Store, batches: Batches) -> None:
    ids = many(store, 100, batch_id="b")
    for id_ in ids:
        end(store, id_, Event.FAIL)
    batches.close("b")
    store.batches.start_operation("default", "b", "retry")
    more = "more"
    while more == "more":
        more = store.batches.continue_operation("default", "b")
        for id_ in ids:
            if store.jobs.get(id_).to_job().state is JobState.QUEUED:
                end(store, id_)
    result = announced(store.redis, "b")
    assert [(item["round"], item.get("failed", "0")) for item in result] == [("1", "100"), ("2", "0")]


def test_a_retry_that_finds_nothing_is_no_round(store: Store, batches: Batches) -> None:
    end(store, submit(store, batch_id="b"))
    batches.close("b")
    assert batches.retry("b").operation is None
    assert [item["round"] for item in announced(store.redis, "b")] == ["1"]


def test_a_batch_is_completed_where_a_cancel_ends_its_retry(store: Store, batches: Batches) -> None:
    ids = many(store, 100, batch_id="b")
    for id_ in ids:
        end(store, id_, Event.FAIL)
    batches.close("b")
    store.batches.start_operation("default", "b", "retry")
    store.batches.continue_operation("default", "b")
    for id_ in ids:
        if store.jobs.get(id_).to_job().state is JobState.QUEUED:
            end(store, id_)
    batches.cancel("b")
    assert [item["round"] for item in announced(store.redis, "b")] == ["1", "2"]


def test_a_full_redis_stops_a_retry_and_no_cancel(store: Store, batches: Batches) -> None:
    ids = many(store, 200, batch_id="b")
    for id_ in ids[:50]:
        end(store, id_, Event.FAIL)
    store.redis.config_set("maxmemory", store.redis.info("memory")["used_memory"] // 2)
    try:
        wait_until(
            lambda: (
                store.dispatch.dispatch_due("dispatcher", 30)[0] >= 0
                and store.dispatch.inspect().numbers["memory_full"] == 1
            )
        )
        assert batches.cancel("b").counts[JobState.CANCELLED] == 150
        assert batches.retry("b", patience_s=5).operation == "retry"
        assert batches.get("b").counts[JobState.FAILED] == 50
    finally:
        store.redis.config_set("maxmemory", 0)
    wait_until(lambda: store.dispatch.dispatch_due("dispatcher", 30)[0] >= 0 and batches.get("b").operation is None)
    assert batches.get("b").counts[JobState.FAILED] == 0


def test_a_job_that_outlived_its_paused_batch_is_not_held_by_it(clocked: tuple[Store, FakeClock]) -> None:
    """A webhook that is still to be told keeps a record for longer than its batch."""
    store, _ = clocked
    batches = Batches(store)
    id_ = submit(store, batch_id="b")
    batches.pause("b")
    store.jobs.cancel(id_)
    store.redis.delete(keys.batch("default", "b"), keys.index("default", "b"))
    assert store.jobs.retry([id_]) == ["ok"]
    dispatch(store, 2)
    claim(store, id_)
