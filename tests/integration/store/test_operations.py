"""Operations are durable: the dispatcher goes on with them, whoever began them; and they mean what was there then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as rules

from support.builders import claim, make_request, submit, wait_until
from support.fake_clock import FakeClock, clocked_store
from swapjobs.actor import Actor, acting_as
from swapjobs.contract.lifecycle import Event, JobState
from swapjobs.contract.operation import OperationRequest
from swapjobs.store import keys

if TYPE_CHECKING:
    from swapjobs import SwapClient
    from swapjobs.contract.operation import Operation
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store


def many(store: Store, number: int, **fields: Any) -> list[str]:
    answer = (store.jobs.submit(make_request(**fields) for _ in range(100)) for _ in range(number // 100))
    return [str(item.id) for block in answer for item in block]


def start(store: Store, kind: str, **filters: Any) -> str:
    return store.operations.start(OperationRequest.parse({"kind": kind, **filters}))


def dispatch_until_over(store: Store, id_: str) -> Operation:
    def over() -> bool:
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
        return store.operations.get(id_).status == "done"

    wait_until(over)
    return store.operations.get(id_)


def states(store: Store, ids: list[str]) -> set[str]:
    return {store.jobs.get(id_).fields["state"] for id_ in ids}


def test_the_dispatcher_does_it_to_every_tenants_jobs(store: Store) -> None:
    ids = [id_ for tenant in ("acme", "default", "zeta") for id_ in many(store, 300, tenant=tenant)]
    with acting_as(Actor("key 7", "http")):
        id_ = start(store, "cancel", tenant=None)
    later = many(store, 100, tenant="acme")
    done = dispatch_until_over(store, id_)
    assert (done.total, done.looked_at, done.changed, done.by) == (900, 900, 900, "key 7")
    assert (states(store, ids), states(store, later)) == ({JobState.CANCELLED}, {JobState.QUEUED})
    assert store.redis.zscore(keys.schedule(), f"operation:{id_}") is None
    assert 0 < store.redis.pttl(keys.operation(id_)) <= 90 * 86_400 * 1000


def test_one_that_is_stopped_leaves_the_rest_alone(store: Store) -> None:
    ids = many(store, 400)
    id_ = start(store, "cancel")
    assert store.operations.step(id_) == "more"
    assert store.operations.stop(id_) == "ok"
    stopped = store.operations.get(id_)
    assert (stopped.status, stopped.changed) == ("stopped", 50)
    assert store.operations.step(id_) == "done"
    for _ in range(3):
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
    assert sum(store.jobs.get(job).fields["state"] == JobState.CANCELLED for job in ids) == 50


def test_a_job_that_came_after_another_of_its_id_is_not_meant(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        old = submit(store, business_task_id="x")
        store.jobs.cancel(old)
        id_ = start(store, "cancel")
        store.jobs.forget([old])
        clock.move(1)
        assert submit(store, business_task_id="x") == old
        assert dispatch_until_over(store, id_).changed == 0
        assert states(store, [old]) == {JobState.QUEUED}


def test_a_retry_waits_while_redis_is_full(store: Store) -> None:
    job = many(store, 100)[0]
    patch = {"next_call": "swap", "code": "no_face"}
    store.attempts.record_outcome(claim(store, job), Event.FAIL, patch=patch, entry="{}")
    store.redis.config_set("maxmemory", "1")
    try:

        def is_full() -> bool:
            store.dispatch.dispatch_due("dispatcher", 30, stayed=True)  # which looks at the memory every second
            return store.dispatch.inspect().numbers["memory_full"] == 1

        wait_until(is_full)
        id_ = start(store, "retry", error_code="no_face")
        assert store.operations.step(id_) == "full"
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
        assert states(store, [job]) == {JobState.FAILED}
    finally:
        store.redis.config_set("maxmemory", "0")
    assert dispatch_until_over(store, id_).changed == 1
    assert states(store, [job]) == {JobState.QUEUED}


@rules(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=strategies.lists(strategies.sampled_from(["a", "b", "dispatcher"]), min_size=1, max_size=12))
def test_whoever_makes_the_steps_each_job_is_done_once(store: Store, steps: list[str]) -> None:
    store.redis.flushdb()
    many(store, 200)
    id_ = start(store, "cancel")
    for who in steps:
        if who == "dispatcher":
            store.dispatch.dispatch_due("dispatcher", 30, stayed=True)
        else:
            store.operations.step(id_)
    done = dispatch_until_over(store, id_)
    assert (done.looked_at, done.changed, done.left) == (200, 200, 0)


def test_records_of_a_tenant_are_kept_as_long_as_it_wants(store: Store, client: SwapClient) -> None:
    client.operator.set_tenant("brief", result_ttl_s=120)
    seconds = {}
    for tenant in ("brief", "default"):
        id_ = str(store.jobs.submit([make_request(tenant=tenant, batch_id="b")])[0].id)
        store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={}, entry="{}")
        of_job = [keys.job(id_), keys.batch(tenant, "b"), keys.index(tenant, "b")]
        seconds[tenant] = [round(store.redis.ttl(key) / 10) for key in of_job]
        hash_, field = keys.tombstone(id_)
        assert store.redis.hexists(hash_, field)
        assert store.redis.ttl(hash_) > 39 * 86_400
    assert seconds == {"brief": [12] * 3, "default": [60_480] * 3}
    assert client.operator.set_tenant("brief", rate="5/s").result_ttl_s == 120
    client.operator.set_tenant("brief", result_ttl_s=None)
    assert client.operator.set_tenant("brief", weight=2).result_ttl_s is None


def test_those_by_one_tool_alone_are_changed(store: Store) -> None:
    roop, other = submit(store), submit(store, tool="v2/roop")
    done = dispatch_until_over(store, start(store, "cancel", tool="v2/roop"))
    assert (done.changed, done.tool) == (1, "v2/roop")
    assert (states(store, [roop]), states(store, [other])) == ({JobState.QUEUED}, {JobState.CANCELLED})
