"""What is SwapClient's own way through a gateway: lost replies, restarts, refusals, and what it keeps to itself."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from support.builders import make_request, wait_until
from support.killed_redis import kill_redis
from support.processes import ACME_KEY, ZETA_KEY
from support.tcp_proxy import TcpProxy
from support.web_server import Peer, always, answer, once, serving
from swapjobs import IdempotencyConflict, InvalidRequest, JobNotFound, JobState, SettingsError, SwapClient
from swapjobs.contract.errors import AccessDenied, QueueUnavailable, SwapjobsError, TooManyRequests
from swapjobs.contract.job import job_id
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import GatewayProcess, Program, Sandbox
    from swapjobs.client.interface import JobClient
    from swapjobs.store.store import Store

KEYS: Final = {"SWAPJOBS_GATEWAY_KEYS": f"acme:{ACME_KEY}", "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s"}
DEAD: Final = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def gateway(common_gateway: GatewayProcess) -> GatewayProcess:
    return common_gateway


@pytest.fixture
def acme(gateway: GatewayProcess) -> Iterator[JobClient]:
    """A client with the key of the tenant acme."""
    with SwapClient.from_gateway(gateway.url, ACME_KEY) as client:
        yield client


@pytest.fixture
def bad_line(gateway: GatewayProcess) -> Iterator[TcpProxy]:
    """What lies between the client and the gateway."""
    with TcpProxy(int(str(urlsplit(gateway.url).port))) as proxy:
        yield proxy


def test_children_that_were_forked_with_a_used_client_get_their_own_answers(acme: JobClient) -> None:
    """As gunicorn --preload and uWSGI do: on the parent's kept-alive connection they would read each other's."""
    ids = [acme.submit(make_request()).id for _ in range(4)]
    reading, writing = os.pipe()
    children = []
    for own in ids:
        if (pid := os.fork()) == 0:
            with contextlib.suppress(BaseException):
                wrong = sum(acme.get(own).id != own for _ in range(50))
                os.write(writing, f"{wrong}\n".encode())
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as output:
        assert output.read().split() == ["0"] * 4
    assert acme.get(ids[0]).id == ids[0]


def test_the_answer_to_another_request_is_refused() -> None:
    """Whatever mixed them up: a connection that others use too, or something in between."""
    other = answer(b"{}", "200 OK", "Swapjobs-Request: another")
    with (
        serving(always(other)) as server,
        SwapClient.from_gateway(server.url, ACME_KEY) as client,
        pytest.raises(QueueUnavailable, match="answered another request"),
    ):
        client.get("job-1")


def problem(status: int, **output: Any) -> bytes:
    """Return a gateway's refusal."""
    headers = [f"{name.replace('_', '-')}: {value}" for name, value in output.pop("headers", {}).items()]
    return answer(json.dumps(output), f"{status} X", "Content-Type: application/problem+json", *headers)


def jobs_of(store: Store) -> int:
    """Count the jobs in Redis."""
    return sum(1 for _ in store.redis.scan_iter(keys.job("*")))


# -- replies that are lost


def through(proxy: TcpProxy, **way: Any) -> JobClient:
    return SwapClient.from_gateway(f"http://127.0.0.1:{proxy.port}", ACME_KEY, **way)


@pytest.mark.parametrize("business_task_id", ["mine", None])
def test_a_submit_whose_reply_is_lost_is_one_job(
    start_gateway: Callable[..., GatewayProcess], store: Store, business_task_id: str | None
) -> None:
    gateway = start_gateway(**KEYS)
    with TcpProxy(int(str(urlsplit(gateway.url).port))) as bad_line, through(bad_line) as client:
        for _ in range(3):
            bad_line.lose_a_reply()
        job = client.submit(make_request(business_task_id=business_task_id))
        assert client.get(job.id) == job
    assert jobs_of(store) == 1
    assert [line["status"] for line in gateway.logged() if line["method"] == "POST"] == [202] * 4


def test_replies_lost_among_many_cost_nothing(bad_line: TcpProxy, store: Store) -> None:
    with through(bad_line) as client:
        result = []
        for number, item in enumerate(client.submit_many(make_request(business_task_id=None) for _ in range(300))):
            result.append(item)
            if number % 30 == 0:
                bad_line.lose_a_reply()
    assert len({item.id for item in result}) == 300
    assert {item.outcome for item in result} <= {"created", "existing"}
    assert jobs_of(store) == 300


def test_what_cannot_be_asked_twice_is_not(bad_line: TcpProxy, acme: JobClient) -> None:
    job = acme.cancel(acme.submit(make_request(tenant="acme")).id)
    with through(bad_line) as client:
        bad_line.lose_a_reply()
        with pytest.raises(QueueUnavailable, match="whether it did what was asked is not known"):
            client.retry(job.id)
    assert acme.get(job.id).state is JobState.QUEUED


def test_a_line_that_stays_down_is_given_up_within_the_patience(bad_line: TcpProxy) -> None:
    with through(bad_line, patience_s=0.5) as client:
        bad_line.refuse()
        with pytest.raises(QueueUnavailable, match="cannot be reached"):
            client.submit(make_request())
        bad_line.accept()
        assert client.submit(make_request()).state is JobState.QUEUED


# -- the gateway dies


@pytest.fixture
def mortal(program: Callable[..., Program]) -> Callable[[], tuple[Program, str]]:
    """Start the gateway, each time on the same port."""
    port = free_port()

    def start() -> tuple[Program, str]:
        command = ("swapjobs", "gateway", "--port", str(port))
        return program(*command, **KEYS).wait_for("gateway ready on "), f"http://127.0.0.1:{port}"

    return start


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_wait_outlives_the_gateway(
    mortal: Callable[[], tuple[Program, str]], worker: Program, vendor: Sandbox, number: int
) -> None:
    gateway, url = mortal()
    vendor.faults("latency:ms=2500")
    with SwapClient.from_gateway(url, ACME_KEY, patience_s=20) as client:
        job = client.submit(make_request())
        done: list[Any] = []
        waiter = threading.Thread(target=lambda: done.append(client.wait(job.id, 60)))
        waiter.start()
        wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
        gateway.end(number)
        mortal()
        waiter.join(60)
    assert [item.state for item in done] == [JobState.SUCCEEDED]
    assert worker.process.poll() is None


def test_many_outlive_the_gateway(mortal: Callable[[], tuple[Program, str]], store: Store) -> None:
    gateway, url = mortal()
    result = []
    with SwapClient.from_gateway(url, ACME_KEY, patience_s=20) as client:
        for number, item in enumerate(client.submit_many(make_request().model_dump() for _ in range(500))):
            result.append(item)
            if number in {50, 250}:
                gateway.end(signal.SIGKILL)
                gateway, _ = mortal()
    assert len({item.id for item in result}) == jobs_of(store) == 500
    assert Counter(item.outcome for item in result)["created"] >= 480


def test_a_gateway_without_redis_says_so(
    environment: dict[str, str], start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        gateway = start_gateway(**KEYS)
        with SwapClient.from_gateway(gateway.url, ACME_KEY) as client:
            job = client.submit(make_request())
            kill_redis(server)
            for call in (client.get, client.cancel, lambda id_: client.wait(id_, 1)):
                with pytest.raises(QueueUnavailable, match="Redis cannot be reached"):
                    call(job.id)
            with pytest.raises(QueueUnavailable, match="Redis cannot be reached"):
                client.submit(make_request())
            server.start()
            assert client.submit(make_request()).state is JobState.QUEUED


# -- refusals


def test_each_tenant_sees_its_own(acme: JobClient, gateway: GatewayProcess) -> None:
    request = make_request()
    job = acme.submit(request)
    assert (job.tenant, job.id) == ("acme", job_id("acme", str(request.business_task_id)))
    assert acme.submit(make_request(tenant="acme")).tenant == "acme"
    with pytest.raises(InvalidRequest, match="tenant"):
        acme.submit(make_request(tenant="zeta"))
    (output,) = acme.submit_many([make_request(tenant="zeta")])
    assert (output.outcome, output.id) == ("invalid", None)
    with pytest.raises(InvalidRequest, match="tenant"):
        acme.list(tenant="zeta")
    with SwapClient.from_gateway(gateway.url, ZETA_KEY) as zeta:
        for call in (zeta.get, zeta.cancel, zeta.retry, lambda id_: zeta.wait(id_, 1)):
            with pytest.raises(JobNotFound):
                call(job.id)


def test_an_unknown_key_is_denied(gateway: GatewayProcess) -> None:
    with SwapClient.from_gateway(gateway.url, "not-a-key-of-this-gateway") as client:
        for call in (client.get, client.cancel, client.retry):
            with pytest.raises(AccessDenied):
                call("x")
        with pytest.raises(AccessDenied):
            client.wait("x", 1)
        with pytest.raises(AccessDenied):
            client.submit(make_request())
        with pytest.raises(AccessDenied):
            list(client.submit_many([make_request()]))


def submit_for_ever(client: JobClient) -> None:
    for _ in count():
        client.submit(make_request())


def test_too_many_requests_are_told_and_many_jobs_keep_to_it(start_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = start_gateway(**{**KEYS, "SWAPJOBS_GATEWAY_KEY_RATE": "20/s"})
    with SwapClient.from_gateway(gateway.url, ACME_KEY) as client:
        with pytest.raises(TooManyRequests) as caught:
            submit_for_ever(client)
        assert caught.value.retry_after_s is not None
        assert 0 < caught.value.retry_after_s <= 10
        output = list(client.submit_many(make_request() for _ in range(60)))
        assert {item.outcome for item in output} == {"created"}
        job = client.submit_many([make_request()])
        assert next(iter(job)).outcome == "created"
    assert 429 in {line["status"] for line in gateway.logged()}


def test_a_long_line_is_back_pressure(start_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = start_gateway(**KEYS, SWAPJOBS_GATEWAY_MAX_QUEUED="5")
    with SwapClient.from_gateway(gateway.url, ACME_KEY, patience_s=0.2) as client:
        with pytest.raises(TooManyRequests, match="are queued"):
            submit_for_ever(client)
        with pytest.raises(TooManyRequests):
            list(client.submit_many(make_request() for _ in range(3)))


def test_an_operators_verbs_need_redis(acme: JobClient) -> None:
    assert not hasattr(acme, "operator")


# -- who answers is no gateway, or one behind another server


def test_every_code_of_ours_comes_back_as_its_exception() -> None:
    """Also those that a later version adds: the table is made of the classes."""
    kinds = [SwapjobsError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    for kind in kinds:
        with (
            serving(always(problem(418, code=kind.code, detail="the text", field="f", job_id="j"))) as server,
            SwapClient.from_gateway(server.url, ACME_KEY) as client,
            pytest.raises(kind, match=r"^the text$") as caught,
        ):
            client.get("x")
        assert type(caught.value) is kind
        if isinstance(caught.value, InvalidRequest):
            assert caught.value.field == "f"
        if isinstance(caught.value, IdempotencyConflict):
            assert caught.value.job_id == "j"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer("<html>", "401 Unauthorized"), AccessDenied),
        (answer("", "403 Forbidden"), AccessDenied),
        (answer("", "429 Too Many", "Retry-After: 7"), TooManyRequests),
        (answer("", "404 Not Found"), QueueUnavailable),
        (answer("[]", "500 Oh"), QueueUnavailable),
        (answer("", "302 Found", "Location: http://127.0.0.1:1/"), QueueUnavailable),
        (answer("<html>", "200 OK"), QueueUnavailable),
        (answer("{}", "200 OK"), QueueUnavailable),
        (b"HTTP/1.1 banana\r\n\r\n", QueueUnavailable),
        (b"\x00\x01\x02", QueueUnavailable),
        (problem(499, code="from_the_future", detail="text"), InvalidRequest),
        (problem(500, code="from_the_future", detail="text"), QueueUnavailable),
        (problem(422, code=7), QueueUnavailable),
    ],
)
def test_a_strange_answer_is_an_exception_of_ours(reply: bytes, kind: type[SwapjobsError]) -> None:
    with (
        serving(always(reply)) as server,
        SwapClient.from_gateway(server.url, ACME_KEY, patience_s=0) as client,
        pytest.raises(kind) as caught,
    ):
        client.get("x")
    if isinstance(caught.value, TooManyRequests):
        assert caught.value.retry_after_s == 7


def test_a_load_balancers_bad_moment_is_outlived(gateway: GatewayProcess) -> None:
    """A 502 of something in between means nothing; the gateway's own 503 is an answer."""
    with SwapClient.from_gateway(gateway.url, ACME_KEY) as client:
        job = client.submit(make_request())
    replies = iter([answer("<html>", "502 Bad Gateway"), answer("", "503 Busy"), answer(job.model_dump_json())])

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(next(replies))

    with serving(script) as server, SwapClient.from_gateway(server.url, ACME_KEY) as client:
        assert client.get(job.id) == job
        assert len(server.requests) == 3
    own = problem(503, code="queue_unavailable", detail="Redis cannot be reached: x")
    with serving(always(own)) as server, SwapClient.from_gateway(server.url, ACME_KEY) as client:
        with pytest.raises(QueueUnavailable, match="Redis cannot be reached: x"):
            client.get(job.id)
        assert len(server.requests) == 1


def test_a_gateway_may_live_under_a_path() -> None:
    with serving(always(problem(404, code="job_not_found"))) as server:
        for url in (f"{server.url}/swaps", f"{server.url}/swaps/"):
            with SwapClient.from_gateway(url, ACME_KEY) as client, pytest.raises(JobNotFound):
                client.get("a+b%2F;c")
        assert {seen.line for seen in server.requests} == {"GET /swaps/v1/jobs/a%2Bb%252F%3Bc HTTP/1.1"}


# -- the key


def test_the_key_goes_only_where_it_may() -> None:
    for url in (
        "http://swaps.example",
        "http://10.0.0.1:8780",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil",
    ):
        with pytest.raises(SettingsError, match="https"):
            SwapClient.from_gateway(url, ACME_KEY)
        SwapClient.from_gateway(url, ACME_KEY, allow_http=True).close()
    for url in ("https://swaps.example", "http://localhost:8780", "http://127.9.9.9", "http://[::1]:1/path"):
        SwapClient.from_gateway(url, ACME_KEY).close()
    for url in (
        "",
        "swaps.example",
        "ftp://x",
        "https://",
        "https://a:b@x",
        "https://x?a=b",
        "https://x:99999",
        "https://swaps.example/v1",
        "https://example.com/swaps/v1/",
        "https://[x",
    ):
        with pytest.raises(SettingsError, match="URL"):
            SwapClient.from_gateway(url, ACME_KEY)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("https://swaps.example", ACME_KEY), {}),
        (("https://swaps.example",), {}),
        ((), {"url": "https://swaps.example", "key": ACME_KEY}),
    ],
)
def test_who_wants_a_gateways_client_is_told_how_to_make_one(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"a gateway is reached by SwapClient\.from_gateway\(url, key\)"):
        SwapClient(*given, **named)


@pytest.mark.parametrize("key", ["", "with blank", "line\r\nX-Evil: 1", "é", "x" * 201])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SwapClient.from_gateway("https://swaps.example", key)
    assert not key or key not in str(caught.value)


def test_no_proxy_of_the_environment_gets_the_key(monkeypatch: pytest.MonkeyPatch, gateway: GatewayProcess) -> None:
    with serving(always(problem(404, code="job_not_found"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with SwapClient.from_gateway(gateway.url, ACME_KEY) as client:
            assert client.submit(make_request()).state is JobState.QUEUED
        assert proxy.requests == []
        with SwapClient.from_gateway(gateway.url, ACME_KEY, trust_env=True) as client, pytest.raises(JobNotFound):
            client.get("x")
        assert len(proxy.requests) == 1


def test_a_redirect_does_not_carry_the_key_on() -> None:
    with serving(always(answer())) as other:
        moved = answer("", "307 Moved", f"Location: {other.url}/")
        with (
            serving(always(moved)) as server,
            SwapClient.from_gateway(server.url, ACME_KEY) as client,
            pytest.raises(QueueUnavailable, match="307"),
        ):
            client.submit(make_request())
        assert other.requests == []


def shown_by(error: SwapjobsError) -> list[str]:
    """Return a traceback with the locals of all frames but the test's own."""
    assert error.__traceback__ is not None
    result = traceback.TracebackException(type(error), error, error.__traceback__.tb_next, capture_locals=True)
    return list(result.format())


def test_the_key_is_shown_nowhere(gateway: GatewayProcess, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []
    with serving(once(Peer.reset)) as broken:
        for url in (gateway.url, DEAD, broken.url):
            with SwapClient.from_gateway(url, ACME_KEY, patience_s=0) as client:
                texts += [repr(client), repr(vars(client)), repr(client.__dict__["_http"])]
                for id_ in ("x", None):
                    try:
                        client.get(id_) if id_ else client.submit(make_request())
                    except SwapjobsError as error:
                        texts += shown_by(error)
    assert len(texts) >= 9
    shown = [line for text in (*texts, caplog.text, gateway.program.output) for line in text.splitlines()]
    assert [line for line in shown if ACME_KEY in line] == []


def test_httpx_is_loaded_only_by_who_asks_for_a_gateway() -> None:
    light = "import sys; from swapjobs import *; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", light], check=False).returncode == 0
