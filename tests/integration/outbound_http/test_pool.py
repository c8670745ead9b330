"""The free list: connections are kept, shared by nobody, and never used when the peer may have closed them."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support.web_server import Peer, always, answer, serving, wait_until
from swapworker.outbound_http import ConnectionPool, ReplyLost, split_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def connections_to(url: str, idle_limit_s: float = 60.0) -> Iterator[ConnectionPool]:
    connections = ConnectionPool(split_url(url)[0], idle_limit_s=idle_limit_s)
    yield connections
    connections.close()


def post(connections: ConnectionPool) -> bytes:
    return connections.post(b"/", [], b"{}", timeout_s=5, max_bytes=1000).body


def test_requests_in_turn_share_one_connection() -> None:
    with serving(always(answer("ok"))) as server, connections_to(server.url) as connections:
        assert [post(connections) for _ in range(5)] == [b"ok"] * 5
        assert server.connections == 1


def test_requests_at_once_have_one_connection_each() -> None:
    together = threading.Barrier(8)

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            together.wait(5)
            peer.send(answer("ok"))

    with (
        serving(script) as server,
        connections_to(server.url) as connections,
        ThreadPoolExecutor(8) as threads,
    ):
        for _ in range(5):
            assert list(threads.map(lambda _: post(connections), range(8))) == [b"ok"] * 8
        assert server.connections == 8


def test_a_connection_that_was_closed_while_idle_is_not_used() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer("ok"))

    with serving(script) as server, connections_to(server.url) as connections:
        for _ in range(3):
            assert post(connections) == b"ok"
            wait_until(lambda: server.closed == len(server.requests))
        assert (server.connections, len(server.requests)) == (3, 3)


def test_a_connection_that_was_reset_while_idle_is_not_used() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer("ok"))
        peer.reset()

    with serving(script) as server, connections_to(server.url) as connections:
        for _ in range(2):
            with contextlib.suppress(ReplyLost):  # the reset may overtake the reply
                post(connections)
            wait_until(lambda: server.closed == len(server.requests))
        assert len(server.requests) == 2


def test_a_connection_that_closes_under_a_request_is_not_tried_again() -> None:
    """The peer may have carried it out: only the caller can find out."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer("ok"))
        peer.request()

    with serving(script) as server, connections_to(server.url) as connections:
        post(connections)
        with pytest.raises(ReplyLost):
            post(connections)
        assert (server.connections, len(server.requests)) == (1, 2)


def test_a_connection_that_rested_too_long_is_not_used() -> None:
    with serving(always(answer("ok"))) as server, connections_to(server.url, idle_limit_s=0.0) as connections:
        post(connections)
        post(connections)
        assert server.connections == 2
        wait_until(lambda: server.closed >= 1)


@pytest.mark.parametrize(
    "reply", [answer("ok", "200 OK", "Connection: close"), answer("ok") + b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_connection_that_must_close_or_says_too_much_is_not_used(reply: bytes) -> None:
    with serving(always(reply)) as server, connections_to(server.url) as connections:
        assert [post(connections), post(connections)] == [b"ok", b"ok"]
        assert server.connections == 2


def test_a_reply_that_nobody_asked_for_is_never_taken_for_ours() -> None:
    """Otherwise one job would get the picture of another."""
    surplus, arrived = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer("mine"))
        surplus.wait(5)
        peer.send(answer("somebody else's"))
        arrived.set()
        peer.hang()

    with serving(script) as server, connections_to(server.url) as connections:
        assert post(connections) == b"mine"
        surplus.set()
        assert arrived.wait(5)
        assert post(connections) == b"mine"
        assert server.connections == 2


def test_close_closes_idle_connections_and_those_in_use_after_their_reply() -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            under_way.set()
            go_on.wait(5)
            peer.send(answer("ok"))

    with serving(script) as server, connections_to(server.url) as connections, ThreadPoolExecutor(1) as threads:
        reply = threads.submit(post, connections)
        under_way.wait(5)
        connections.close()
        go_on.set()
        assert reply.result() == b"ok"
        wait_until(lambda: server.closed == 1)
