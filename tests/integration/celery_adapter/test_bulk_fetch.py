"""Messages come several at a time, by lane and in order, and never more than there is room for."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from kombu import Consumer, Queue

from swapjobs.store import keys
from swapjobs.store.celery_message import ID, template
from swapworker.celery_adapter.broker import Broker
from swapworker.celery_adapter.bulk_fetch import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swapjobs.store.store import Store


class Fetched:
    """What a worker with so much room gets; it finishes with nothing by itself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.messages: list[Any] = []

    @property
    def ids(self) -> list[str]:
        return [message.headers["id"] for message in self.messages]

    def fetch(self) -> list[str]:
        """Take what is there; return the ids so far."""
        with suppress(socket.timeout):
            while True:
                self._connection.drain_events(timeout=0.3)
        return self.ids


@contextmanager
def fetching(redis_url: str, room: int) -> Iterator[Fetched]:
    app = Celery(broker=redis_url, amqp=Broker)
    app.conf.broker_transport_options = {"priority_steps": list(keys.PRIORITY_STEPS), "ack_emulation": False}
    with app.connection_for_read() as connection:
        fetched = Fetched(connection)
        queues = [Queue(keys.SWAPS_QUEUE)]
        with Consumer(connection, queues, on_message=fetched.messages.append, prefetch_count=room, accept=["json"]):
            yield fetched
    app.close()


def publish(store: Store, lane: str, count: int) -> list[str]:
    ids = [f"{lane}-{number}" for number in range(count)]
    store.redis.lpush(keys.READY[lane], *(template(lane).replace(ID, id_) for id_ in ids))
    return ids


@pytest.fixture
def round_trips(store: Store) -> Callable[[], int]:
    store.redis.config_resetstat()
    return lambda: int(store.redis.info("commandstats").get("cmdstat_blmpop", {}).get("calls", 0))


def test_waiting_messages_come_in_few_round_trips_and_in_order(
    store: Store, redis_url: str, round_trips: Callable[[], int]
) -> None:
    urgent, bulk = publish(store, keys.INTERACTIVE, 20), publish(store, keys.BULK, 20)
    with fetching(redis_url, room=100) as fetched:
        assert fetched.fetch() == urgent + bulk
    assert round_trips() <= 2 * -(-20 // AT_ONCE) + 1


def test_no_more_are_taken_than_there_is_room_for(store: Store, redis_url: str) -> None:
    ids = publish(store, keys.BULK, 10)
    with fetching(redis_url, room=3) as fetched:
        assert fetched.fetch() == ids[:3]
        fetched.messages[0].ack()
        fetched.messages[1].ack()
        assert fetched.fetch() == ids[:5]
    assert [json.loads(text)["headers"]["id"] for text in store.redis.lrange(keys.READY[keys.BULK], 0, -1)] == [
        *reversed(ids[5:])
    ]


def test_one_message_does_not_wait_for_others(store: Store, redis_url: str) -> None:
    with fetching(redis_url, room=10) as fetched:
        assert fetched.fetch() == []
        (id_,) = publish(store, keys.INTERACTIVE, 1)
        assert fetched.fetch() == [id_]
