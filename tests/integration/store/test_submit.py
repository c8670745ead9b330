"""submit.lua: accepted at once, in exactly one place, and idempotent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from support.builders import claim, make_request, submit
from swapjobs import JobState, QueueFull, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys

if TYPE_CHECKING:
    from swapjobs.store.store import Store


def test_a_job_is_queued_and_its_message_is_out(store: Store) -> None:
    id_ = submit(store)
    assert store.jobs.get(id_).to_job().state is JobState.QUEUED
    assert store.redis.llen(keys.READY[keys.INTERACTIVE]) == 1
    assert store.redis.zscore(keys.published("interactive"), id_) is not None


def test_same_id_and_request_is_the_same_job_and_another_request_is_a_conflict(store: Store) -> None:
    request = make_request()
    other = make_request(business_task_id=request.business_task_id)
    submissions = store.jobs.submit([request, request, other])
    assert [item.outcome for item in submissions] == ["created", "existing", "conflict"]
    assert len({item.id for item in submissions}) == 1
    assert store.redis.llen(keys.READY[keys.INTERACTIVE]) == 1


def test_the_same_business_id_of_another_tenant_is_another_job(store: Store) -> None:
    request = make_request()
    submissions = store.jobs.submit([request, request.model_copy(update={"tenant": "other"})])
    assert [item.outcome for item in submissions] == ["created", "created"]


def test_everything_asked_for_comes_back(client: SwapClient) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    request = make_request(
        tenant="acme",
        priority="bulk",
        tool="face/fusion",
        face_idx=2,
        callback_url="https://hooks.example/x",
        expires_at=expires,
        metadata={"n": 1, "text": "ä\n"},
        batch_id="b1",
    )
    job = client.submit(request)
    asked = request.model_dump(exclude={"callback_url", "callback_style", "face_idx"})
    assert {name: getattr(job, name) for name in asked} == asked
    assert job.webhook is not None
    assert job.webhook.url == "https://hooks.example/x"


def test_a_business_id_used_again_after_its_record_expired_is_a_new_generation(store: Store) -> None:
    """Else the vendor's answer to the old job could be adopted as the new one's picture."""
    request = make_request()
    id_ = str(store.jobs.submit([request])[0].id)
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={})
    store.redis.delete(keys.job(id_))  # as the TTL does
    assert store.jobs.submit([request])[0].outcome == "created"
    assert store.jobs.get(id_).number("generation") == 2


def test_a_full_redis_refuses_the_submit_as_a_whole_and_says_so(store: Store, client: SwapClient) -> None:
    used = store.redis.info("memory")["used_memory"]
    of_the_fleet = {keys.fleet_traffic(), keys.fleet_state()}  # the fixture wrote the limits
    store.redis.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(QueueFull, match="memory limit"):
            client.submit(make_request())
        assert set(store.redis.keys("*")) == of_the_fleet
    finally:
        store.redis.config_set("maxmemory", 0)


def test_jobs_of_a_line_come_out_in_order_and_tenants_in_turn(store: Store) -> None:
    names = [f"{tenant}{number}" for tenant in "ab" for number in range(20)]
    requests = [make_request(tenant=name[0], business_task_id=name, priority="bulk") for name in names]
    store.jobs.submit(requests)
    order = []
    for _ in names:
        message = json.loads(str(store.redis.rpop(keys.READY["bulk"])))
        id_ = message["headers"]["id"]
        order.append(claim(store, id_).job.fields["business_id"])
    assert [name for name in order if name[0] == "a"] == names[:20]
    assert [name for name in order if name[0] == "b"] == names[20:]
    # tenant b came second with as many jobs: it isn't behind all of tenant a's
    assert order.index("b0") < order.index("a10")


def test_interactive_messages_are_popped_before_bulk_ones(store: Store) -> None:
    submit(store, priority="bulk")
    id_ = submit(store, priority="interactive")
    popped = store.redis.brpop([keys.READY["interactive"], keys.READY["bulk"]], timeout=1)
    assert popped is not None
    assert id_ in popped[1]


def test_scripts_survive_a_script_flush(store: Store) -> None:
    submit(store)
    store.redis.script_flush()
    assert submit(store)
    assert isinstance(store.redis, redis.Redis)
