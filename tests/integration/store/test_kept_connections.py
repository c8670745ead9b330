"""Commands of every job go over connections that are kept, and find another one where those are no good any more."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
import redis

from support.builders import wait_until
from swapjobs.store.kept_connections import KeptConnections
from swapjobs.store.redis_client import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis_client(redis_url, patience_s=5) as client:
        yield client


def test_commands_in_turn_share_one_connection_also_after_a_refusal(client: redis.Redis) -> None:
    connections = KeptConnections(client)
    first = connections.run("CLIENT", "ID")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        connections.run("NO-SUCH-COMMAND")
    assert [connections.run("CLIENT", "ID") for _ in range(5)] == [first] * 5


def test_commands_at_once_have_one_connection_each(client: redis.Redis) -> None:
    connections, together = KeptConnections(client), Barrier(4)

    def wait_for_nothing(number: int) -> None:
        together.wait(5)
        connections.run("BLPOP", f"nothing-{number}", 0.2)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            list(threads.map(wait_for_nothing, range(4)))
    assert len({connections.run("CLIENT", "ID") for _ in range(8)}) == 1
    assert len(client.connection_pool._in_use_connections) == 4  # noqa: SLF001 - redis-py has no word for it


def test_a_connection_that_redis_closed_while_it_rested_is_replaced(client: redis.Redis) -> None:
    connections = KeptConnections(client)
    first = connections.run("CLIENT", "ID")
    client.client_kill_filter(_id=str(first))
    rested_at = time.monotonic() + 0.1  # sooner than any server is back
    wait_until(lambda: time.monotonic() > rested_at)
    assert connections.run("CLIENT", "ID") != first


def test_a_forked_process_has_connections_of_its_own(client: redis.Redis) -> None:
    connections = KeptConnections(client)
    first = connections.run("CLIENT", "ID")
    child = os.fork()
    if child == 0:
        os._exit(0 if connections.run("CLIENT", "ID") != first else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connections.run("CLIENT", "ID") == first
