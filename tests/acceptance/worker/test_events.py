"""What tasks did reaches listeners whole and in order, in few messages, and also while the worker stops."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from support.builders import make_request, wait_until
from support.processes import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

WORKER = ("celery", "-A", "swapworker.app", "worker", "-Q", "swaps", "-E", "-l", "info")
# Else an attempt that comes late for its slot is made again, and told as such.
AT_ONCE = {"SWAPJOBS_RATE_BURST": "200"}
THREE = ["task-received", "task-started", "task-succeeded"]


class Listener:
    """Hears what Flower hears."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.messages = 0
        self.told: dict[str, list[str]] = {}

    def listen(self) -> dict[str, list[str]]:
        """Take in what is there; return the types of events by task."""
        while (message := self._channel.get_message(timeout=0.01)) is not None:
            body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
            events = [event for event in (body if isinstance(body, list) else [body]) if "uuid" in event]
            self.messages += bool(events)
            for event in events:
                self.told.setdefault(event["uuid"], []).append(event["type"])
        return self.told


@contextmanager
def listening(store: Store) -> Iterator[Listener]:
    pubsub: Any = store.redis.pubsub  # untyped in redis-py
    with pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("*celeryev*")
        channel.get_message(timeout=5)
        yield Listener(channel)


def test_many_jobs_are_told_in_few_messages(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    vendor.faults()
    with listening(store) as listener:
        program(*WORKER, **AT_ONCE).wait_for("ready.")
        ids = [str(one.id) for one in client.submit_many(make_request() for _ in range(200))]
        wait_until(lambda: sum(types[-1] == "task-succeeded" for types in listener.listen().values()) == 200)
    assert {id_: listener.told[id_] for id_ in ids} == dict.fromkeys(ids, THREE)
    assert listener.messages < 100


def test_what_ends_while_the_worker_stops_is_told(
    program: Callable[..., Program], client: SwapClient, store: Store, vendor: Sandbox
) -> None:
    vendor.faults("latency:ms=1500")
    with listening(store) as listener:
        worker = program(*WORKER, **AT_ONCE).wait_for("ready.")
        ids = [client.submit(make_request()).id for _ in range(3)]
        wait_until(lambda: vendor.get("stats")["in_flight"] == 3)
        assert worker.end() == 0
        assert {finished(client, id_).state for id_ in ids} == {"succeeded"}
        wait_until(lambda: [listener.listen().get(id_) for id_ in ids] == [THREE] * 3, what=f"{listener.told}")
