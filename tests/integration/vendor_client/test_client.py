"""The vendor client against a server: what it sends, what it makes of it, and that it never tells its secrets.

Here a scripted peer says what no vendor's program would. What the client finds at the sandbox and, the same, at the
gateway's door is in `tests/acceptance/test_vendor_contract.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from support.vendor_calls import picture, vendor_query, vendor_swap
from support.web_server import Peer, Script, always, answer, once, serving
from swapjobs.contract.errors import ErrorCode
from swapjobs.settings import WorkerSettings
from swapworker.vendor_client.client import VendorClient
from swapworker.vendor_client.outcome import (
    AccountRefused,
    NotStarted,
    Outcome,
    OutcomeUnknown,
    Pending,
    TaskUnknown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.web_server import WebServer

KEY_ID, KEY_SECRET = "the-key-id", "the-key-secret"
BODY = {"sourceUrl": "https://a.example/s", "targetUrl": "https://a.example/t", "businessTaskId": "job-1"}
DONE = json.dumps(
    {
        "code": "200",
        "msg": "success",
        "data": {"taskId": "1116", "toolTask": "roop", "status": 1, "outputImageUrl": "https://a.example/o.png"},
    }
)
SUCCEEDED = picture("https://a.example/o.png", "1116")


def settings(url: str, **more: Any) -> WorkerSettings:
    return WorkerSettings(api_url=url, api_key_id=KEY_ID, api_key_secret=KEY_SECRET, **more)


@pytest.fixture
def client_of() -> Iterator[Callable[..., VendorClient]]:
    made = []

    def make(server: WebServer, path: str = "", **more: Any) -> VendorClient:
        made.append(VendorClient(settings(server.url + path, **more)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_a_swap_sends_the_body_and_the_two_headers(client_of: Callable[..., VendorClient]) -> None:
    with serving(always(answer(DONE))) as server:
        assert vendor_swap(client_of(server), "v2/roop", BODY) == SUCCEEDED
    seen = server.requests[0]
    assert seen.line == "POST /AIGCImgOpenServ/saas/tool/v2/roop HTTP/1.1"
    assert json.loads(seen.body) == BODY
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-request-req-accesskeyid"] == KEY_ID
    assert seen.headers["x-request-req-accesskeysecret"] == KEY_SECRET
    assert seen.headers["user-agent"].startswith("swapjobs/")


def test_a_query_asks_for_the_business_id(client_of: Callable[..., VendorClient]) -> None:
    with serving(always(answer('{"code": "200", "msg": "success", "data": null}'))) as server:
        assert vendor_query(client_of(server, "/base"), "roop", "job-1~2") == TaskUnknown()
    seen = server.requests[0]
    assert seen.line == "POST /base/AIGCImgOpenServ/saas/tool/roop/queryTask HTTP/1.1"
    assert json.loads(seen.body) == {"businessTaskId": "job-1~2"}


def test_without_credentials_the_headers_are_left_out() -> None:
    with serving(always(answer(DONE))) as server:
        client = VendorClient(WorkerSettings(api_url=server.url))
        assert vendor_swap(client, "roop", BODY) == SUCCEEDED
        client.close()
    assert not [name for name in server.requests[0].headers if name.startswith("x-")]


def test_calls_from_many_threads_keep_their_replies_apart(client_of: Callable[..., VendorClient]) -> None:
    def script(peer: Peer) -> None:
        while (seen := peer.request()) is not None:
            task_id = json.loads(seen.body)["businessTaskId"]
            peer.send(answer(json.dumps({"code": "200", "data": {"taskId": task_id, "status": 0}})))

    with serving(script) as server, ThreadPoolExecutor(16) as threads:
        client = client_of(server)
        outcomes = threads.map(lambda number: vendor_swap(client, "roop", {"businessTaskId": str(number)}), range(400))
        assert list(outcomes) == [Pending(str(number)) for number in range(400)]
        assert server.connections <= 16


def gzipped(body: bytes) -> bytes:
    return answer(gzip.compress(body), "200 OK", "Content-Encoding: gzip")


@pytest.mark.parametrize(
    ("script", "swap", "query"),
    [
        pytest.param(once(Peer.reset), ErrorCode.VENDOR_UNREACHABLE, ErrorCode.VENDOR_UNREACHABLE, id="reset"),
        pytest.param(once(Peer.hang), ErrorCode.VENDOR_TIMEOUT, ErrorCode.VENDOR_TIMEOUT, id="hang"),
        pytest.param(
            once(lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000)),
            ErrorCode.VENDOR_TIMEOUT,
            ErrorCode.VENDOR_TIMEOUT,
            id="drip",
        ),
        pytest.param(always(answer("<html>")), ErrorCode.BAD_RESPONSE, ErrorCode.BAD_RESPONSE, id="html"),
        pytest.param(always(answer(DONE[:-1])), ErrorCode.BAD_RESPONSE, ErrorCode.BAD_RESPONSE, id="broken JSON"),
        pytest.param(always(answer("y" * 2000)), ErrorCode.BAD_RESPONSE, ErrorCode.BAD_RESPONSE, id="too long"),
        pytest.param(always(gzipped(bytes(9_000_000))), ErrorCode.BAD_RESPONSE, ErrorCode.BAD_RESPONSE, id="gzip bomb"),
        pytest.param(always(answer("", "502 Bad Gateway")), ErrorCode.VENDOR_ERROR, ErrorCode.VENDOR_ERROR, id="502"),
    ],
)
def test_what_may_have_been_carried_out_was_not_seen(
    script: Script, swap: ErrorCode, query: ErrorCode, client_of: Callable[..., VendorClient]
) -> None:
    with serving(script) as server:
        client = client_of(server, call_timeout_s=0.3, max_response_bytes=1024)
        for outcome, code in ((vendor_swap(client, "roop", BODY), swap), (vendor_query(client, "roop", "1"), query)):
            assert isinstance(outcome, OutcomeUnknown)
            assert outcome.code is code


def test_an_unreachable_vendor_was_not_asked() -> None:
    client = VendorClient(settings("http://127.0.0.1:1"))
    outcome = vendor_swap(client, "roop", BODY)
    assert isinstance(outcome, NotStarted)
    assert outcome.code is ErrorCode.VENDOR_UNREACHABLE
    assert isinstance(vendor_query(client, "roop", "1"), OutcomeUnknown)


def test_a_redirect_is_not_followed(client_of: Callable[..., VendorClient]) -> None:
    with serving(always(answer(DONE))) as other:
        redirect = always(answer("", "307 Temporary Redirect", f"Location: {other.url}/?token=t0p"))
        with serving(redirect) as server:
            outcome = vendor_swap(client_of(server), "roop", BODY)
    message = "the vendor answered 307: a redirect; is SWAPJOBS_API_URL right?"
    assert outcome == NotStarted(ErrorCode.BAD_RESPONSE, message, vendor_wide=True)
    assert other.requests == []


def test_a_compressed_reply_is_read_though_nobody_asked_for_it(client_of: Callable[..., VendorClient]) -> None:
    with serving(always(gzipped(DONE.encode()))) as server:
        assert vendor_swap(client_of(server), "roop", BODY) == SUCCEEDED
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_no_proxy_of_the_environment_sees_the_secrets(
    monkeypatch: pytest.MonkeyPatch, client_of: Callable[..., VendorClient]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(always(answer(DONE))) as server:
        assert vendor_swap(client_of(server), "roop", BODY) == SUCCEEDED


SCRIPTS = [
    always(answer(DONE)),
    once(Peer.reset),
    once(Peer.hang),
    once(lambda peer: peer.send(b"nonsense\r\n\r\n")),
    always(answer(json.dumps({"code": "401", "msg": f"{KEY_ID}/{KEY_SECRET} refused"}))),
    always(answer(json.dumps({"code": KEY_SECRET, "msg": "x" * 190 + KEY_SECRET}))),
    always(answer(json.dumps({"code": "200", "msg": KEY_SECRET, "data": {"status": 2}}))),
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_credentials_are_told_to_nobody_but_the_vendor(
    script: Script, client_of: Callable[..., VendorClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(script) as server:
        client = client_of(server, call_timeout_s=0.3)
        outcomes: list[Outcome] = [vendor_swap(client, "roop", BODY), vendor_query(client, "roop", "1")]
    assert any(KEY_SECRET in str(seen.headers) for seen in server.requests)
    for text in (repr(client), str(vars(client)["_connections"]), str(outcomes), caplog.text):
        assert KEY_ID not in text
        assert KEY_SECRET not in text
        assert KEY_SECRET[:10] not in text


def test_no_traceback_tells_the_credentials(client_of: Callable[..., VendorClient]) -> None:
    """An error of our own, in the middle of a call."""
    with serving(always(answer(DONE))) as server:
        client = client_of(server)
        with pytest.raises(TypeError) as caught:
            vendor_swap(client, "roop", {"businessTaskId": object()})
    text = io.StringIO()
    traceback.print_exception(caught.value, file=text)
    assert KEY_SECRET not in text.getvalue()


@pytest.mark.parametrize("secret", ["hu\nsh-hush", "hüsh-hush", " hush-hush", "hu\x00sh-hush"])
def test_a_credential_that_is_no_header_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(ValidationError, match=r"api_key_secret\n.*must be printable ASCII") as caught:
        WorkerSettings(api_key_id="id", api_key_secret=secret)
    assert "hush" not in str(caught.value)


def test_the_vendors_quotation_of_a_credential_is_masked(client_of: Callable[..., VendorClient]) -> None:
    with serving(always(answer(json.dumps({"code": "401", "msg": f"unknown {KEY_ID}"})))) as server:
        assert vendor_swap(client_of(server), "roop", BODY) == AccountRefused(
            ErrorCode.CREDENTIALS_REJECTED, "the vendor answered 401: unknown ***"
        )
