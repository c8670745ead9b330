"""A message is what the installed Celery would send, cut to what a worker needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from kombu import Queue

from swapjobs.store import keys
from swapjobs.store.celery_message import DELIVER_TASK, ID, SWAP_TASK, WEBHOOK_SUFFIX, template
from swapworker.celery_adapter.broker import Broker

if TYPE_CHECKING:
    from swapjobs.store.store import Store

LONGEST = 400  # bytes: half of what a queued job may take, and a quarter of Celery's own message


def sent_by_celery(store: Store, redis_url: str, lane: str) -> tuple[str, dict[str, Any]]:
    app = Celery(broker=redis_url, amqp=Broker)
    app.conf.update(
        broker_transport_options={"priority_steps": list(keys.PRIORITY_STEPS)},
        task_queues=[Queue(keys.SWAPS_QUEUE), Queue(keys.WEBHOOKS_QUEUE)],
    )
    queue, task = (keys.WEBHOOKS_QUEUE, DELIVER_TASK) if lane == "webhooks" else (keys.SWAPS_QUEUE, SWAP_TASK)
    task_id = "some-job" + (WEBHOOK_SUFFIX if lane == keys.WEBHOOKS else "")
    options = {"task_id": task_id, "queue": queue, "priority": 9 if lane == "bulk" else 0, "ignore_result": True}
    with app.connection_for_write() as connection:  # as a worker's; in the pool of senders are kombu's own
        app.send_task(task, connection=connection, **options)
    app.close()
    popped = store.redis.brpop([*keys.READY.values()], timeout=1)
    assert popped is not None
    return str(popped[0]), json.loads(popped[1])


@pytest.mark.parametrize("lane", keys.LANES)
def test_the_template_agrees_with_celerys_own_message(store: Store, redis_url: str, lane: str) -> None:
    ready_queue, theirs = sent_by_celery(store, redis_url, lane)
    ours = json.loads(template(lane).replace(ID, "some-job"))
    assert ready_queue == keys.READY[lane]
    assert set(ours) <= set(theirs)
    assert ours["content-type"] == theirs["content-type"]
    for part in ("headers", "properties"):
        for name, value in ours[part].items():
            if name not in {"delivery_tag", "correlation_id"}:
                assert theirs[part][name] == value, name


def test_a_message_carries_nothing_but_the_id() -> None:
    for lane in keys.LANES:
        assert len(template(lane).replace(ID, "x" * 24)) < LONGEST
        assert template(lane).count(ID) == 3
