"""A callback URL comes from a stranger: whatever it says, nothing inside is called.

The servers are real. One stands for the outside (127.0.0.1, an allowed network where a test needs it to be reached),
one for the inside (127.0.0.2 and ::1, same port): a try has failed if that one never saw a connection.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from support.web_server import Peer, Script, WebServer, always, answer, certificate, once, serving
from swapjobs.settings import WorkerSettings
from swapworker.delivery.sender import Delivery, WebhookSender

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from swapworker.outbound_http import IpAddress

OUTSIDE = "127.0.0.1/32"
NOT_PUBLIC = "the host's address is not public (see SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS; for this machine 127.0.0.1/32)"
EVENT = json.dumps({"type": "test"})


def settings(**more: Any) -> WorkerSettings:
    options: dict[str, Any] = {"webhook_secrets": "whsec_" + "QUFB" * 8, "webhook_timeout_s": 5.0}
    return WorkerSettings(**options | more)


def send(url: str, resolver: Callable[[str], Any] | None = None, *, tls: Any = None, **more: Any) -> Delivery:
    sender = WebhookSender(settings(**more), tls=tls, resolver=resolver or nobody)
    return sender.send(url, "msg_1", EVENT, at=datetime.now(UTC))


def nobody(host: str) -> list[IpAddress]:
    raise OSError(f"{host} was looked up")


def names(*addresses: str) -> Callable[[str], list[IpAddress]]:
    """Return a resolver with one answer."""
    return lambda _: [ip_address(address) for address in addresses]


@dataclass
class Inside:
    """What must not be called: the same port on two addresses."""

    servers: list[WebServer]

    @property
    def port(self) -> int:
        return self.servers[0].port

    @property
    def connections(self) -> int:
        return sum(server.connections for server in self.servers)


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    reply = always(answer("secret"))
    with serving(reply, host="127.0.0.2") as one, serving(reply, host="::1", port=one.port) as two:
        yield Inside([one, two])


def refused(delivery: Delivery, inside: Inside) -> str:
    """Return why, once it is certain that nothing was called."""
    assert (delivery.ok, delivery.status) == (False, None)
    assert inside.connections == 0
    return delivery.reason


LITERALS = [
    "127.0.0.2",
    "127.0.0.2.",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff12",  # full-width digits
    "①②⑦.⓪.⓪.②",
    "127。0。0。2",  # ideographic full stops
    "0.0.0.0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]",
    "[::127.0.0.2]",
    "[::ffff:0:127.0.0.2]",
    "[64:ff9b::127.0.0.2]",
    "[64:ff9b:1::127.0.0.2]",
    "[2002:7f00:2::1]",
    "[2001:0:7f00:2::1]",
    "[2606:4700::5efe:127.0.0.2]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "10.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LITERALS)
def test_an_address_that_is_not_public_is_not_called(host: str, scheme: str, inside: Inside) -> None:
    delivery = send(f"{scheme}://{host}:{inside.port}/", webhook_ports=str(inside.port))
    assert refused(delivery, inside) == NOT_PUBLIC


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "LOCALHOST", "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54"]
)
def test_localhost_is_judged_by_its_address(host: str, inside: Inside) -> None:
    """With the system's own resolver: what the hosts file says is an address like any other."""
    delivery = WebhookSender(settings()).send(f"http://{host}:{inside.port}/", "msg_1", EVENT, at=datetime.now(UTC))
    assert refused(delivery, inside) == NOT_PUBLIC


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.2"],
        ["::1"],
        ["::ffff:127.0.0.2"],
        ["64:ff9b::127.0.0.2"],
        ["0.0.0.0"],
        ["::"],
        ["169.254.169.254"],
        ["fd00:ec2::254"],
        ["10.0.0.1", "127.0.0.2", "::1"],
    ],
    ids=" ".join,
)
def test_a_name_of_such_an_address_is_not_called(addresses: list[str], inside: Inside) -> None:
    delivery = send(f"https://a.example:{inside.port}/", names(*addresses), webhook_ports=str(inside.port))
    assert refused(delivery, inside) == NOT_PUBLIC


WRITTEN = [
    "http://2130706434:{}/",
    "http://0x7f000002:{}/",
    "http://0x7f.0.0.2:{}/",
    "http://017700000002:{}/",
    "http://0177.0.0.2:{}/",
    "http://127.2:{}/",
    "http://127.0.2:{}/",
    "http://127.000.000.002:{}/",
    "http://127.0.0.0x2:{}/",
    "http://0:{}/",
    "http://127.0.0.2..:{}/",
    "http://127..0.0.2:{}/",
    "http://.127.0.0.2:{}/",
    "http://:{}/",
    "http://.:{}/",
    "http://%31%32%37.0.0.2:{}/",
    "http://127.0.0.2%00.example:{}/",
    "http://127.0.0.2\x00.example:{}/",
    "http://127.0.0.\n2:{}/",
    "http://127.0.0.\t2:{}/",
    " http://127.0.0.2:{}/",
    "http://127.0.0.2:{}\r\nX-Header: 1/",
    "http://127.0.0.2:{}/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "http://127.0.0.2:{}/?\r\nX-Header:1",
    "http://a.example@127.0.0.2:{}/",
    "http://a.example:80@127.0.0.2:{}/",
    "http://127.0.0.2:{}@a.example/",
    "http://@127.0.0.2:{}/",
    "http://a.example:80\\@127.0.0.2:{}/",
    "http://127.0.0.2:{}\\@a.example/",
    "http:\\\\127.0.0.2:{}/",
    "http:/\\127.0.0.2:{}/",
    "http:127.0.0.2:{}/",
    "http:///127.0.0.2:{}/",
    "//127.0.0.2:{}/",
    "127.0.0.2:{}/",
    "http://[::1%25lo]:{}/",
    "http://[::1%lo]:{}/",
    "http://[::1:{}/",
    "http://::1:{}/",
    "http://[127.0.0.2]:{}/",
    "http://[v1.::1]:{}/",
    "http://[::1].example:{}/",
    "http://127.0.0.2:{}:80/",
    "http://127.0.0.2:+{}/",
    "http://127.0.0.2:0/?{}",
    "http://127.0.0.2:99999/?{}",
    "http://" + "a." * 126 + "ab:{}/",
    "http://" + "a" * 64 + ".example:{}/",
    "http://" + "ü" * 5000 + ".example:{}/",
    "http://-a.example:{}/",
    "http://a\u2100b.example:{}/",  # a sign that becomes a/c
    "http://127.0.0.2\u2215.example:{}/",  # a slash that is none
    "http://127.0.0.2\uff03.example:{}/",
    "http://a.example\uff20127.0.0.2:{}/",
    "http://\U0001f600.example:{}/",
    "ftp://127.0.0.2:{}/",
    "file:///etc/passwd?{}",
    "gopher://127.0.0.2:{}/_X",
    "unix:///run/redis.sock?{}",
    "http+unix://%2Frun%2Fx.sock:{}/",
    "ws://127.0.0.2:{}/",
]


@pytest.mark.parametrize("url", WRITTEN, ids=ascii)
def test_a_url_that_is_not_written_plainly_is_not_called(url: str, inside: Inside) -> None:
    """Nothing is looked up for it either, though here all would be allowed."""
    delivery = send(url.format(inside.port), webhook_allowed_networks="0.0.0.0/0,::/0")
    reason = refused(delivery, inside)
    assert reason.startswith("the URL ")
    assert "127.0.0" not in reason


def test_what_comes_after_the_host_does_not_change_it(inside: Inside) -> None:
    """A parser that looks for the last @ would call the inside."""
    with serving(always(answer())) as outside:
        for rest in ("#@127.0.0.2:{}/", "?@127.0.0.2:{}/", "/@127.0.0.2:{}/", "/..//127.0.0.2:{}/"):
            url = f"http://a.example:{outside.port}{rest.format(inside.port)}"
            assert send(url, names("127.0.0.1"), webhook_allowed_networks=OUTSIDE).ok
    assert len(outside.requests) == 4
    assert {seen.headers["host"] for seen in outside.requests} == {f"a.example:{outside.port}"}
    assert inside.connections == 0


def test_an_international_name_is_looked_up_and_told_as_dns_has_it() -> None:
    """Cyrillic letters that look like Latin ones are seen for what they are; ß is not ss."""
    asked = []

    def look_up(host: str) -> list[IpAddress]:
        asked.append(host)
        return []

    reasons = [
        send(f"https://{host}/", look_up).reason for host in ("\u0430pple.example", "faß.example", "Bücher。example")
    ]
    assert asked == ["xn--pple-43d.example", "xn--fa-hia.example", "xn--bcher-kva.example"]
    assert all(host in reason for host, reason in zip(asked, reasons, strict=True))


def test_a_name_server_that_changes_its_answer_gains_nothing(inside: Inside) -> None:
    """DNS rebinding: the address that was judged is the one called, and each delivery asks and judges anew."""
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"])
    asked = []

    def look_up(host: str) -> list[IpAddress]:
        asked.append(host)
        return [ip_address(next(answers))]

    with serving(always(answer()), port=inside.port) as outside:
        for try_ in range(4):
            delivery = send(f"http://a.example:{outside.port}/", look_up, webhook_allowed_networks=OUTSIDE)
            assert delivery.ok is (try_ % 2 == 0)
            assert len(asked) == try_ + 1
    assert outside.connections == 2
    assert inside.connections == 0


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_mixed_answer_only_what_is_allowed_is_called(order: int, inside: Inside) -> None:
    """Also when the address outside is dead: there is no falling back to one inside."""
    mixed = ["127.0.0.1", "127.0.0.2", "::1", "169.254.169.254"][::order]
    with serving(always(answer()), port=inside.port) as outside:
        url = f"http://a.example:{outside.port}/"
        assert send(url, names(*mixed), webhook_allowed_networks=OUTSIDE).ok
    dead = send(url, names(*mixed), webhook_allowed_networks=OUTSIDE)
    assert "no connection to a.example" in refused(dead, inside)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("field", ["Location: {}", "Refresh: 0; url={}", "Content-Location: {}"])
def test_a_redirect_to_the_inside_is_not_followed(status: str, field: str, inside: Inside) -> None:
    target = f"http://127.0.0.2:{inside.port}/"
    with serving(always(answer("", status, field.format(target)))) as outside:
        delivery = send(f"http://127.0.0.1:{outside.port}/", webhook_allowed_networks=OUTSIDE)
    assert (delivery.ok, delivery.status) == (False, int(status[:3]))
    assert delivery.reason == f"the receiver answered {status[:3]}; redirects are not followed"
    assert inside.connections == 0


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_not_used(name: str, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(answer())) as outside:
        monkeypatch.setenv(name, f"http://127.0.0.2:{inside.port}")
        assert send(f"http://127.0.0.1:{outside.port}/", webhook_allowed_networks=OUTSIDE).ok
    assert inside.connections == 0


def test_without_tls_only_an_allowed_network_is_called() -> None:
    assert "https is required" in send("http://8.8.8.8/").reason
    assert "https is required" in send("http://a.example/", names("2606:4700:4700::1111")).reason


@pytest.mark.parametrize("port", [22, 25, 80, 6379, 8080])
def test_a_public_address_is_called_on_the_listed_ports_only(port: int) -> None:
    """Nothing is sent to that public address here: the port is judged before a connection is made."""
    assert send(f"https://8.8.8.8:{port}/").reason == f"port {port} is not one of SWAPJOBS_WEBHOOK_PORTS"


def test_an_allowed_network_is_called_on_any_port() -> None:
    with serving(always(answer())) as outside:
        assert outside.port not in WorkerSettings().webhook_ports
        assert send(outside.url, webhook_allowed_networks=OUTSIDE).ok


def test_the_ports_are_a_setting() -> None:
    assert WorkerSettings().webhook_ports == (443, 8443)
    assert settings(webhook_ports="443, 9443").webhook_ports == (443, 9443)
    for wrong in ("0", "65536", "https"):
        with pytest.raises(ValueError, match="webhook_ports"):
            settings(webhook_ports=wrong)


def test_the_checked_address_is_called_by_its_name(tmp_path: Path) -> None:
    """SNI, certificate and Host are those of the name; a final dot is no part of it."""
    result: list[str | None] = []
    server_tls, client_tls = certificate(tmp_path, "hooks.example")
    server_tls.sni_callback = lambda _socket, name, _context: result.append(name)
    with serving(always(answer()), tls=server_tls) as outside:

        def to(host: str, tls: ssl.SSLContext | None = client_tls) -> Delivery:
            url = f"https://{host}:{outside.port}/"
            return send(url, names("127.0.0.1"), tls=tls, webhook_allowed_networks=OUTSIDE)

        assert to("hooks.example").ok
        assert to("Hooks.Example.").ok
        assert "certificate" in to("other.example").reason.lower()
        assert "certificate" in to("hooks.example", None).reason.lower()
    assert result == ["hooks.example", "hooks.example", "other.example", "hooks.example"]
    assert [seen.headers["host"] for seen in outside.requests] == [f"hooks.example:{outside.port}"] * 2


def drip_a_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    peer.drip(b"y")


@pytest.mark.parametrize(
    ("act", "status"),
    [
        pytest.param(lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000), None, id="head"),
        pytest.param(lambda peer: peer.drip(b"HTTP/1.1 103 Early Hints\r\n\r\n"), None, id="informational replies"),
        pytest.param(drip_a_body, 200, id="body"),
    ],
)
def test_a_reply_that_drips_ends_with_the_deadline(act: Script, status: int | None) -> None:
    began = time.monotonic()
    with serving(once(act)) as outside:
        delivery = send(outside.url, webhook_allowed_networks=OUTSIDE, webhook_timeout_s=0.3)
    assert delivery.status == status
    assert 0.3 <= time.monotonic() - began < 2.5


def test_a_name_server_that_takes_for_ever_ends_with_the_deadline(inside: Inside) -> None:
    """And what it answers then is not called any more."""
    late = threading.Event()
    answered = threading.Event()

    def look_up(_: str) -> list[IpAddress]:
        late.wait()
        answered.set()
        return [ip_address("127.0.0.2")]

    delivery = send(
        f"http://a.example:{inside.port}/", look_up, webhook_allowed_networks="127.0.0.0/8", webhook_timeout_s=0.3
    )
    late.set()
    assert answered.wait(5)
    assert refused(delivery, inside) == "no connection to a.example in time"


def test_a_reply_without_end_is_not_read() -> None:
    sent = 0

    def script(peer: Peer) -> None:
        nonlocal sent
        peer.request()
        with contextlib.suppress(OSError):
            peer.send(b"HTTP/1.1 500 Oops\r\n\r\n")
            while not peer.server.stopping.is_set():
                peer.send(b"y" * 10_000)
                sent += 10_000

    with serving(script) as outside:
        delivery = send(outside.url, webhook_allowed_networks=OUTSIDE)
    assert (delivery.status, delivery.reason) == (500, "the receiver answered 500")
    assert sent < 20_000_000  # what the sockets' buffers take
