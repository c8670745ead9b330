"""One delivery: signed as Standard Webhooks 1.0 wants it, to public addresses only, and never longer than its time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from support.web_server import Peer, Script, Seen, always, answer, certificate, once, serving
from swapjobs.contract.webhook_signing import endpoint_secret, endpoint_signers
from swapjobs.settings import WorkerSettings
from swapworker.delivery.sender import Delivery, WebhookSender

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "whsec_" + "QUFB" * 8
SECOND = "whsec_" + "QkJC" * 8
EVENT = json.dumps({"type": "swap.succeeded", "data": {"id": "x", "name": "Łódź 换脸"}}, ensure_ascii=False)
GRACE_S = 1.5


def settings(**more: Any) -> WorkerSettings:
    return WorkerSettings(**{"webhook_secrets": FIRST, "webhook_allowed_networks": "127.0.0.0/8"} | more)


def send(url: str, *, at: datetime | None = None, sender: WebhookSender | None = None, **more: Any) -> Delivery:
    sender = sender or WebhookSender(settings(**more))
    return sender.send(url, "msg_1", EVENT, at=at or datetime.now(UTC))


def verify(seen: Seen, secret: str) -> Any:
    return Webhook(secret).verify(seen.body, seen.headers)


def test_a_delivery_is_signed_and_counted_as_delivered() -> None:
    with serving(always(answer("", "204 No Content"))) as server:
        delivery = send(f"{server.url}/hook?for=us")
    assert (delivery.ok, delivery.status, delivery.reason, delivery.gone) == (True, 204, "", False)
    seen = server.requests[0]
    assert seen.line == "POST /hook?for=us HTTP/1.1"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["webhook-id"] == "msg_1"
    assert verify(seen, FIRST) == json.loads(EVENT)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
@pytest.mark.parametrize("hours", [-11, 0, 8])
def test_the_signature_holds_in_every_time_zone(zone: str, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the machine's zone nor that of the time passed in may move the timestamp."""
    at = datetime.now(timezone(timedelta(hours=hours)))
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        with serving(always(answer())) as server:
            assert send(server.url, at=at).ok
        verify(server.requests[0], FIRST)
    time.tzset()
    assert server.requests[0].headers["webhook-timestamp"] == str(int(at.timestamp()))


def test_the_first_secret_signs_alone() -> None:
    with serving(always(answer())) as server:
        assert send(server.url, webhook_secrets=f"{FIRST},{SECOND}").ok
    verify(server.requests[0], FIRST)
    with pytest.raises(WebhookVerificationError):
        verify(server.requests[0], SECOND)


def test_all_secrets_sign_while_rotating() -> None:
    with serving(always(answer())) as server:
        assert send(server.url, webhook_secrets=f"{FIRST},{SECOND}", webhook_rotating=True).ok
    verify(server.requests[0], FIRST)
    verify(server.requests[0], SECOND)


def test_nothing_is_sent_unsigned() -> None:
    with serving(always(answer())) as server:
        delivery = send(server.url, webhook_secrets="")
    assert delivery == Delivery(ok=False, status=None, duration_ms=0, reason="no webhook secret configured")
    assert server.connections == 0


@pytest.mark.parametrize(
    ("status", "reason", "gone"),
    [
        ("307 Temporary Redirect", "the receiver answered 307; redirects are not followed", False),
        ("404 Not Found", "the receiver answered 404", False),
        ("410 Gone", "the receiver answered 410: gone", True),
        ("500 Oops", "the receiver answered 500", False),
    ],
)
def test_any_other_status_is_a_failure(status: str, reason: str, *, gone: bool) -> None:
    with serving(always(answer("x", status, "Location: http://127.0.0.1:1/"))) as server:
        delivery = send(server.url)
    assert (delivery.ok, delivery.status, delivery.reason, delivery.gone) == (False, int(status[:3]), reason, gone)
    assert len(server.requests) == 1


def test_the_receiver_may_ask_for_a_pause() -> None:
    with serving(always(answer("", "429 Too Many Requests", "Retry-After: 90"))) as server:
        assert send(server.url).retry_after_s == 90.0


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(Peer.hang, id="silence"),
        pytest.param(lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000), id="dripping head"),
    ],
)
def test_the_time_of_a_delivery_is_limited(act: Script) -> None:
    with serving(once(act)) as server:
        delivery = send(server.url, webhook_timeout_s=0.3)
    assert (delivery.ok, delivery.status) == (False, None)
    assert delivery.reason == "127.0.0.1 did not answer in time"
    assert 300 <= delivery.duration_ms < 300 + GRACE_S * 1000


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda peer: peer.drip(b"y"), id="dripping"),
        pytest.param(lambda peer: peer.send(b"y" * 90_000_000), id="endless"),
        pytest.param(Peer.reset, id="reset"),
    ],
)
def test_only_the_status_counts_whatever_becomes_of_the_body(act: Script) -> None:
    """The receiver has said that it has the event; sending it again would be of no use to anybody."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"y" * 10)
        act(peer)

    with serving(script) as server:
        delivery = send(server.url, webhook_timeout_s=0.3)
    assert delivery.status in {200, None}  # a reset may overtake the status
    assert delivery.ok is (delivery.status == 200)
    assert delivery.duration_ms < 300 + GRACE_S * 1000


def test_https_is_delivered_and_verified(tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path)
    with serving(always(answer()), tls=server_tls) as server:
        assert send(server.url, sender=WebhookSender(settings(), tls=client_tls)).ok
        refused = send(server.url)
    assert (refused.ok, refused.status) == (False, None)
    assert "certificate" in refused.reason.lower()


def test_an_unreachable_receiver_is_a_failure_with_a_reason() -> None:
    delivery = send("http://127.0.0.1:1/?token=t0p")
    assert (delivery.ok, delivery.status) == (False, None)
    assert delivery.reason.startswith("no connection to 127.0.0.1: ")


def test_the_secrets_are_not_shown() -> None:
    sender = WebhookSender(settings())
    assert FIRST[6:] not in repr(sender) + repr(vars(sender))


def test_an_endpoint_s_own_keys_sign_instead_of_the_common_ones() -> None:
    """Both versions of its secret while it is being rotated, `v1` and `v1a` of each."""
    master = SecretStr("whsec_" + "Q0ND" * 8)
    signers = [*endpoint_signers(master, "ep_1", 2), *endpoint_signers(master, "ep_1", 1)]
    with serving(always(answer())) as server:
        sender = WebhookSender(settings())
        assert sender.send(server.url, "msg_1", EVENT, at=datetime.now(UTC), signers=signers).ok
    seen = server.requests[0]
    assert [part.partition(",")[0] for part in seen.headers["webhook-signature"].split(" ")] == ["v1", "v1a"] * 2
    for version in (1, 2):
        verify(seen, endpoint_secret(master, "ep_1", version))
    with pytest.raises(WebhookVerificationError):
        verify(seen, FIRST)


def vendor_way(reply: bytes, **more: Any) -> tuple[Delivery, Seen]:
    with serving(always(reply)) as server:
        sender = WebhookSender(settings(**more))
        delivery = sender.send(server.url, "msg_1", EVENT, at=datetime.now(UTC), style="vendor")
    return delivery, server.requests[0]


@pytest.mark.parametrize("body", ['{"code":"200"}', '{"code": 200, "msg": "ok"}', '\ufeff{"code":"200"}'])
@pytest.mark.parametrize("status", ["200 OK", "201 Created"])
def test_the_vendor_s_way_a_reply_counts_that_says_so(body: str, status: str) -> None:
    delivery, seen = vendor_way(answer(body, status))
    assert (delivery.ok, delivery.reason) == (True, "")
    assert seen.body == EVENT.encode()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(""), "the receiver answered 200, but not with JSON"),
        (answer("", "204 No Content"), "the receiver answered 204, but not with JSON"),
        (answer("ok"), "the receiver answered 200, but not with JSON"),
        (answer(b"\xff\xff\xff"), "the receiver answered 200, but not with JSON"),
        (answer("[" * 4000), "the receiver answered 200, but not with JSON"),
        (answer('{"code":' + "2" * 4000), "the receiver answered 200, but not with JSON"),
        (answer('{"code":"500"}'), "the receiver answered 200, but without the code 200 in its JSON"),
        (answer('{"code":true}'), "the receiver answered 200, but without the code 200 in its JSON"),
        (answer('{"code":{"200":[]}}'), "the receiver answered 200, but without the code 200 in its JSON"),
        (answer('["200"]'), "the receiver answered 200, but without the code 200 in its JSON"),
        (answer('{"code":"200"}', "500 Oops"), "the receiver answered 500"),
        (answer('{"code":"200"}' + " " * 5000), "127.0.0.1 sent more than 4096 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_vendor_s_way_any_other_reply_is_a_failure(reply: bytes, reason: str) -> None:
    delivery, _ = vendor_way(reply)
    assert (delivery.ok, delivery.reason) == (False, reason)


def test_the_vendor_s_way_nothing_need_be_signed() -> None:
    """A receiver of the vendor's callbacks knows no signatures; a webhook secret is no condition."""
    delivery, seen = vendor_way(answer('{"code":"200"}'), webhook_secrets="")
    assert delivery.ok
    assert "webhook-signature" not in seen.headers
    assert seen.headers["webhook-id"] == "msg_1"
