"""One POST against servers that misbehave: every call ends by its deadline and says whether the request got out."""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from support.web_server import Peer, Script, always, answer, certificate, once, serving, wait_until
from swapworker.outbound_http import (
    AddressRefused,
    BadReply,
    Connection,
    ConnectionPool,
    Deadline,
    IpAddress,
    NetError,
    NotSent,
    Reply,
    ReplyLost,
    Resolver,
    ResponseTooLarge,
    TimedOut,
    split_url,
    system_resolver,
)

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

GRACE_S = 1.5  # what a busy machine may add to a deadline
HEAD = b"HTTP/1.1 200 OK\r\n"


def post(
    url: str,
    body: bytes = b"{}",
    *,
    timeout_s: float = 5.0,
    tls: ssl.SSLContext | None = None,
    resolver: Resolver = system_resolver,
) -> Reply:
    origin, target = split_url(url)
    connection = Connection(origin, tls=tls, resolver=resolver)
    try:
        return connection.post(target, [], body, deadline=Deadline(timeout_s), max_bytes=1000)
    finally:
        connection.close()


def error_of(script: Script, *, timeout_s: float = 5.0) -> NetError:
    with serving(script) as server, pytest.raises(NetError) as caught:
        post(server.url, timeout_s=timeout_s)
    return caught.value


def test_a_reply_comes_with_status_headers_and_body() -> None:
    with serving(always(answer("no", "404 Not Found", "X-One: 1"))) as server:
        reply = post(f"{server.url}/a/b?c=d", b'{"x": 1}')
    assert (reply.status, reply.body, reply.headers["x-one"]) == (404, b"no", "1")
    seen = server.requests[0]
    assert seen.line == "POST /a/b?c=d HTTP/1.1"
    assert seen.body == b'{"x": 1}'
    assert seen.headers["host"] == f"127.0.0.1:{server.port}"


def test_a_large_request_leaves_in_full() -> None:
    body = b"x" * 3_000_000
    with serving(always(answer())) as server:
        post(server.url, body)
    assert server.requests[0].body == body


def test_a_chunked_reply_and_informational_ones_are_read() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with serving(once(lambda peer: peer.send(early + chunked))) as server:
        assert post(server.url).body == b"abc"


def test_a_reply_that_ends_with_the_connection_is_read() -> None:
    with serving(once(lambda peer: peer.send(b"HTTP/1.0 200 OK\r\n\r\nabc"))) as server:
        assert post(server.url).body == b"abc"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(Peer.hang, id="silence"),
        pytest.param(lambda peer: peer.drip(HEAD + b"X: " + b"y" * 5000), id="dripping head"),
        pytest.param(
            lambda peer: (peer.send(HEAD + b"Content-Length: 900\r\n\r\n"), peer.drip(b"y")), id="dripping body"
        ),
        pytest.param(
            lambda peer: (peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), peer.drip(b"1\r\ny\r\n")),
            id="dripping chunks",
        ),
    ],
)
def test_the_deadline_is_for_the_whole_exchange(act: Script) -> None:
    began = time.monotonic()
    error = error_of(once(act), timeout_s=0.3)
    took = time.monotonic() - began
    assert isinstance(error, TimedOut)
    assert 0.3 <= took < 0.3 + GRACE_S


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    """The send is part of the exchange: it may have been carried out, so it is not `NotSent`."""
    with serving(Peer.hang) as server, pytest.raises(TimedOut):
        post(server.url, b"x" * 50_000_000, timeout_s=0.3)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(once(Peer.reset), id="reset"),
        pytest.param(once(lambda _: None), id="closed without a reply"),
        pytest.param(once(lambda peer: peer.send(HEAD)), id="closed in the head"),
        pytest.param(once(lambda peer: peer.send(answer("abc")[:-1])), id="closed in the body"),
    ],
)
def test_a_broken_connection_after_the_request_is_a_lost_reply(script: Script) -> None:
    assert isinstance(error_of(script), ReplyLost)


def test_a_refusal_that_comes_before_the_whole_request_was_read_is_the_reply() -> None:
    def refuse(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.send(answer("no", "413 Content Too Large"))
        peer.reset()

    with serving(refuse) as server:
        assert post(server.url, b"x" * 50_000_000).status == 413


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"X: " + b"y" * 200_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_bad_reply(reply: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(reply)
        peer.hang()

    assert isinstance(error_of(once(script)), BadReply)


@pytest.mark.parametrize(
    "framing", ["Content-Length: 1001", "Content-Length: 9999999999", "Transfer-Encoding: chunked"]
)
def test_a_long_reply_is_not_read_to_its_end(framing: str) -> None:
    def script(peer: Peer) -> None:
        peer.send(HEAD + framing.encode() + b"\r\n\r\n")
        while not peer.server.stopping.is_set():
            peer.send(b"100\r\n" + b"y" * 256 + b"\r\n")

    error = error_of(once(script))
    assert isinstance(error, ResponseTooLarge)
    assert error.status == 200


@pytest.mark.parametrize(
    ("wrapping", "limit_mb"),
    [
        pytest.param(b"1;" + b"x" * 8000 + b"\r\ny\r\n", 0.3, id="chunk extensions"),
        pytest.param(b"0\r\n" + b"X: y\r\n" * 10_000, 0.3, id="trailers"),
    ],
)
def test_what_a_body_is_wrapped_in_is_limited_too(wrapping: bytes, limit_mb: float) -> None:
    """1000 bytes were asked for; the chunks that bring them may not be endless."""
    sent = 0

    def script(peer: Peer) -> None:
        nonlocal sent
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        peer.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while not peer.server.stopping.is_set():
            peer.send(wrapping)
            sent += len(wrapping)

    error = error_of(once(script))
    assert isinstance(error, ResponseTooLarge | BadReply)
    assert sent < 10_000_000 * limit_mb


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(HEAD + b"X: " + b"y" * 60_000 + b"\r\n\r\n", id="one long header"),
        pytest.param(HEAD + b"".join(b"X%d: y\r\n" % n for n in range(101)) + b"\r\n", id="101 headers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + HEAD + b"\r\n", id="informational replies"),
    ],
)
def test_the_head_of_a_reply_is_limited(head: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.send(head)
        peer.hang()

    error = error_of(once(script))
    assert isinstance(error, BadReply)
    assert "sent more than" in str(error)


def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match=r"127\.0\.0\.1"):
            post(f"http://127.0.0.1:{unused.getsockname()[1]}")


def test_a_full_backlog_means_that_nothing_was_sent() -> None:
    """Connecting takes its time from the same deadline."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(listener.getsockname())
            with pytest.raises(NotSent, match="in time"):
                post(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.3)


def test_a_name_that_does_not_exist_means_that_nothing_was_sent() -> None:
    def look_up(_: str) -> list[IpAddress]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotSent, match=r"nowhere\.example: Name or service not known"):
        post("http://nowhere.example", resolver=look_up)


def test_the_system_resolver_knows_this_machine_and_no_invented_one() -> None:
    assert ip_address("127.0.0.1") in system_resolver("localhost")
    with pytest.raises(OSError, match=r"."):
        system_resolver("nowhere.invalid")


def test_a_name_server_that_hangs_does_not_stop_the_deadline() -> None:
    done = threading.Event()

    def look_up(_: str) -> list[IpAddress]:
        done.wait()
        return []

    with pytest.raises(NotSent, match="in time"):
        post("http://slow.example", timeout_s=0.2, resolver=look_up)
    done.set()


def test_a_name_without_addresses_means_that_nothing_was_sent() -> None:
    with pytest.raises(NotSent, match="has no address"):
        post("http://empty.example", resolver=lambda _: [])


def test_a_second_address_is_tried() -> None:
    with serving(always(answer("ok"))) as server:
        dead, here = ip_address("127.0.0.3"), ip_address("127.0.0.1")
        assert post(f"http://two.example:{server.port}", resolver=lambda _: [dead, here]).body == b"ok"
    assert server.requests[0].headers["host"] == f"two.example:{server.port}"


def test_an_answer_of_many_addresses_is_not_tried_to_its_end() -> None:
    """A stranger's name server must not have us knock at as many doors as it likes."""
    with serving(always(answer("ok"))) as server:
        dead = [ip_address(f"127.0.1.{number}") for number in range(8)]
        with pytest.raises(NotSent):
            post(f"http://many.example:{server.port}", resolver=lambda _: [*dead, ip_address("127.0.0.1")])
        assert post(f"http://many.example:{server.port}", resolver=lambda _: [*dead[1:], ip_address("127.0.0.1")]).body
    assert server.connections == 1


def test_a_header_that_cannot_be_sent_is_not_quoted() -> None:
    origin, target = split_url("http://127.0.0.1:1")
    with pytest.raises(NotSent) as caught:
        Connection(origin).post(target, [(b"X-Key", b"se\ncret")], b"", deadline=Deadline(1), max_bytes=1)
    assert "cret" not in str(caught.value)


def refuse_all(_: IpAddress) -> str | None:
    return "not there"


def test_a_guarded_connection_is_not_opened() -> None:
    with serving(always(answer())) as server:
        connection = Connection(split_url(server.url)[0], guard=refuse_all)
        with pytest.raises(AddressRefused, match="not there"):
            connection.post(b"/", [], b"", deadline=Deadline(5), max_bytes=1)
    assert server.connections == 0


def test_only_the_addresses_that_pass_are_connected_to_and_looked_up_once() -> None:
    """A name server that answers differently the second time (DNS rebinding) is not asked a second time."""
    asked = []

    def look_up(host: str) -> list[IpAddress]:
        asked.append(host)
        return [ip_address("127.0.0.2"), ip_address("127.0.0.1")]

    with serving(always(answer())) as server, serving(always(answer()), host="127.0.0.2", port=server.port) as other:
        connection = Connection(
            split_url(f"http://tricky.example:{server.port}")[0],
            guard=lambda address: None if str(address) == "127.0.0.1" else "not there",
            resolver=look_up,
        )
        connection.post(b"/", [], b"", deadline=Deadline(5), max_bytes=1)
        connection.close()
    assert asked == ["tricky.example"]
    assert (server.connections, other.connections) == (1, 0)


def test_tls_is_verified_and_names_the_host(tmp_path: Path) -> None:
    names: list[str | None] = []
    server_tls, client_tls = certificate(tmp_path)
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(always(answer("ok")), tls=server_tls) as server:
        assert post(f"https://localhost:{server.port}", tls=client_tls).body == b"ok"
        with pytest.raises(NotSent, match=r"(?i)certificate"):
            post(f"https://localhost:{server.port}")
    assert names == ["localhost", "localhost"]


def test_a_slow_tls_handshake_means_that_nothing_was_sent() -> None:
    began = time.monotonic()
    with serving(lambda peer: peer.drip(b"\x16\x03\x03")) as server, pytest.raises(NotSent):
        post(server.url.replace("http", "https"), timeout_s=0.3)
    assert time.monotonic() - began < 0.3 + GRACE_S


def test_tls_connections_are_kept_too(tmp_path: Path) -> None:
    """Session tickets arrive unasked on an idle TLS 1.3 connection: they are no hang-up."""
    server_tls, client_tls = certificate(tmp_path)
    with serving(always(answer("ok")), tls=server_tls) as server:
        connections = ConnectionPool(split_url(server.url)[0], tls=client_tls)
        for _ in range(3):
            connections.post(b"/", [], b"", timeout_s=5, max_bytes=10)
        connections.close()
        wait_until(lambda: server.closed == 1)
    assert server.connections == 1
