"""Erasure: what is kept of a finished job goes, and what it cost stays counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import redis

from support import records
from support.builders import claim, job_of, make_request
from swapjobs import JobGone, JobNotFound
from swapjobs.contract.errors import NotFinished
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys, record
from swapjobs.store.product_tasks import ProductTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.client.interface import JobClient
    from swapjobs.store.store import Store

PICTURE = record.entry("result", output_url="https://out.example/secret-picture.png")
SECRET = {
    "source_url": "https://pictures.example/secret-source.jpg",
    "target_url": "https://pictures.example/secret-target.jpg",
    "metadata": {"name": "secret-name"},
}


def finished(client: JobClient, store: Store, business_task_id: str, **fields: str) -> str:
    job = client.submit(make_request(business_task_id=business_task_id, **SECRET, **fields))
    store.attempts.record_outcome(claim(store, job.id), Event.SUCCEED, patch={}, entry=PICTURE)
    return job.id


def kept(store: Store) -> str:
    """Return all that Redis holds, as text."""
    place = store.redis.connection_pool.connection_kwargs
    with redis.Redis(host=place["host"], port=place["port"], db=place["db"]) as raw:
        read = {b"string": raw.get, b"hash": raw.hgetall, b"stream": raw.xrange}
        return "\n".join(f"{key!r} {read[raw.type(key)](key)}" for key in raw.scan_iter() if raw.type(key) in read)


def test_a_forgotten_job_leaves_no_url_and_no_name(client: JobClient, store: Store) -> None:
    client.webhooks.add("https://hooks.example/in")
    id_ = finished(client, store, "order-1", callback_url="https://hooks.example/own")
    assert kept(store).count("secret-") == 4
    client.forget("order-1")
    assert "secret-" not in kept(store)
    for look in (client.get, client.forget, client.attempts):
        with pytest.raises(JobGone):
            look(id_)
    assert client.list().jobs == []
    pending = [item for item in client.webhooks.deliveries().deliveries if item.state == "pending"]
    assert pending == [], "what can't be told any more is given up"
    assert store.dispatch.inspect().numbers["deliveries_pending"] == 0
    assert store.metrics.read().counts["jobs"]["roop", "succeeded", "-"] == 1
    again = client.submit(make_request(business_task_id="order-1", **SECRET))
    assert (again.id, records.fields(store.redis, id_)["generation"]) == (id_, "2"), "another task for the vendor"


def test_what_is_not_over_can_not_be_forgotten(client: JobClient, store: Store) -> None:
    queued = client.submit(make_request())
    running = client.submit(make_request())
    claimed = claim(store, running.id)
    for id_, state in ((queued.id, "queued"), (running.id, "running")):
        with pytest.raises(NotFinished, match=f"is {state}: cancel it"):
            client.forget(id_)
    client.cancel(running.id)  # its call is still under way, and may be paid for
    with pytest.raises(NotFinished, match="is running"):
        client.forget(running.id)
    store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=PICTURE)
    client.forget(running.id)
    with pytest.raises(JobNotFound):
        client.forget("no-such-job")
    assert client.get(queued.id).state == "queued"


def test_a_products_task_is_told_of_its_end_first(client: JobClient, store: Store) -> None:
    tenant = client.submit(make_request()).tenant
    request = make_request(tenant=tenant, business_task_id="of-a-task")
    assert store.product_tasks.accept([ProductTask("t1", request, '{"id":"t1"}', "its message")]) == ["created"]
    id_ = client.get("of-a-task").id
    store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={}, entry=PICTURE)
    with pytest.raises(NotFinished, match="has not been told of its end yet"):
        client.forget(id_)
    (message,) = store.redis.lrange(keys.READY[keys.WEBHOOKS], 0, -1)
    delivery = store.deliveries.claim(job_of(message), 30)
    assert delivery is not None
    store.deliveries.settle(delivery, "delivered", status=None, entry="{}")
    client.forget(id_)
    assert "webhook_tries" not in store.metrics.read().counts


def test_batches_and_tenants_are_forgotten_by_the_command_line(
    client: JobClient, store: Store, swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    tenant = client.submit(make_request()).tenant
    for number in range(3):
        finished(client, store, f"of-the-batch-{number}", batch_id="b1")
    other = finished(client, store, "another")
    own = ("--tenant", tenant)
    assert json.loads(swapjobs_cli("forget", "--batch", "b1", *own, "--json")[1]) == {"forgotten": 3, "not_finished": 0}
    assert client.get(other).state == "succeeded"
    assert swapjobs_cli("forget", "--all", *own) == (0, "forgotten: 1; not finished: 1\n")
    assert "secret-" not in kept(store)
    status, output = swapjobs_cli("forget", "--all", "--batch", "b1")
    assert (status, output) == (2, "error (invalid_request) give one of JOB_ID, --batch and --all\n")
