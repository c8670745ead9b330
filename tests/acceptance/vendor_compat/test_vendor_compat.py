"""The gateway's vendor-compatible door: what only a queue can promise, and what callers of any kind may send to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.builders import wait_until
from support.door import KEY_SECRET, Door, Side, door_side
from support.killed_redis import kill_redis
from support.processes import Program
from support.vendor_calls import vendor_query, vendor_swap
from support.web_server import answer as reply
from support.web_server import once, serving
from swapjobs import Job, JobState
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import WebhookStatus, job_id
from swapjobs.contract.vendor_api import business_id_of
from swapjobs.store import keys
from swapjobs.store.access.api_keys import ApiKeys
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapworker.vendor_client.outcome import Failed, OutcomeUnknown, Pending, Succeeded, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOOL = "/AIGCImgOpenServ/saas/tool"
BODY = {"sourceUrl": "http://127.0.0.1/a.png", "targetUrl": "http://127.0.0.1/b.png"}
FUSION = {**BODY, "sourceUrl": ["http://127.0.0.1/a.png"]}
PATHS = [f"{TOOL}/{tool}{query}" for tool in ("roop", "v2/roop", "face/fusion") for query in ("", "/queryTask")]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door_side(tmp_path_factory.mktemp("door")) as door:
        yield door


@pytest.fixture(autouse=True)
def _good_day(door: Door) -> Iterator[None]:
    yield
    door.vendor.faults()


@pytest.fixture
def http(door: Door) -> Iterator[httpx.Client]:
    with calling(door) as client:
        yield client
    assert "Traceback" not in door.gateway.output
    assert "unexpected_error" not in door.gateway.output


@pytest.fixture
def held_line(door: Door) -> Iterator[None]:
    """No job moves; a test may resume dispatch itself."""
    with door.jobs() as jobs:
        jobs.operator.pause()
        yield
        jobs.operator.resume()


@pytest.fixture
def id_() -> str:
    return f"job-{next(_numbers)}"


def calling(side: Side, *, timeout_s: float = 60) -> httpx.Client:
    return httpx.Client(base_url=side.url, headers=side.headers, trust_env=False, timeout=timeout_s)


def envelope_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the envelope, which every answer must be."""
    assert answer.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert set(body) == {"code", "msg", "data"}
    assert isinstance(body["code"], str)
    return body


def swap(http: httpx.Client, id_: str, tool: str = "roop", **more: Any) -> dict[str, Any]:
    body = FUSION if tool == "face/fusion" else BODY
    return envelope_of(http.post(f"{TOOL}/{tool}", json={**body, "businessTaskId": id_, **more}))


def query(http: httpx.Client, id_: str, tool: str = "roop") -> dict[str, Any]:
    return envelope_of(http.post(f"{TOOL}/{tool}/queryTask", json={"businessTaskId": id_}))


# -- the queue behind it


def test_the_same_id_and_body_is_the_same_job_and_paid_once(door: Door, http: httpx.Client, id_: str) -> None:
    door.vendor.faults("latency:ms=300")
    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(lambda _: swap(http, id_), range(8))
    assert first["data"]["status"] == 1
    assert [swap(http, id_), *others] == [first] * 8
    assert door.vendor.get("tasks")[job_id("shop", id_)]["billed"] == 1
    other = swap(http, id_, targetUrl="http://127.0.0.1/c.png")
    assert (other["code"], other["data"]) == ("422", None)
    assert other["msg"] == "this businessTaskId was already used for a different request"


def test_a_failed_job_is_not_begun_again_by_its_own_id(door: Door, http: httpx.Client, id_: str) -> None:
    door.vendor.faults("status_2:msg=no face found")
    first = swap(http, id_)
    assert (first["code"], first["msg"], first["data"]["status"]) == ("200", "no face found", 2)
    door.vendor.faults()
    assert swap(http, id_) == first
    assert door.vendor.get("tasks")[job_id("shop", id_)]["calls"] == 1


@pytest.mark.usefixtures("held_line")
def test_a_cancelled_job_has_failed(door: Door, http: httpx.Client, id_: str) -> None:
    with ThreadPoolExecutor(1) as thread, door.jobs() as jobs:
        waiting = thread.submit(swap, http, id_)
        wait_until(lambda: query(http, id_)["data"])
        jobs.cancel(job_id("shop", id_))
        assert (waiting.result()["msg"], waiting.result()["data"]["status"]) == ("the job was cancelled", 2)


def test_what_is_not_done_in_time_is_pending_and_found_by_a_query(door: Door, id_: str) -> None:
    door.vendor.faults("latency:ms=1500")
    with door.gateway_with(SWAPJOBS_GATEWAY_VENDOR_WAIT_S="0.2") as side, calling(side) as http:
        direct = swap(http, id_)
        data = {"taskId": job_id("shop", id_), "toolTask": "roop", "status": 0}
        assert direct == {"code": "200", "msg": "processing", "data": data}
        client = side.client()
        assert isinstance(vendor_query(client, "roop", id_), Pending)
        wait_until(lambda: isinstance(vendor_query(client, "roop", id_), Succeeded), what="the end")
        client.close()


@pytest.mark.usefixtures("held_line")
def test_with_a_callback_only_the_tool_that_documents_it_answers_at_once(
    door: Door, http: httpx.Client, id_: str
) -> None:
    hook = "https://callbacks.example/done"
    with calling(door, timeout_s=20) as impatient:  # the others would wait 55 s
        asked = swap(impatient, id_, "face/fusion", callbackUrl=hook)
    assert (asked["data"]["status"], asked["data"]["businessTaskId"]) == (0, id_)
    with door.jobs() as jobs, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(swap, http, f"{id_}-roop", callbackUrl=hook)
        wait_until(lambda: query(http, f"{id_}-roop")["data"])
        assert not waiting.done()
        for item in (id_, f"{id_}-roop"):
            webhook = jobs.get(job_id("shop", item)).webhook
            assert webhook is not None
            assert webhook.url == hook
        jobs.operator.resume()
        assert waiting.result()["data"]["status"] == 1


@pytest.mark.parametrize(("fault", "status"), [("latency:ms=100", 1), ("status_2:msg=no face found", 2)])
def test_a_callback_is_the_final_envelope_and_counts_once_it_is_answered_as_the_vendor_asks(
    door: Door, http: httpx.Client, id_: str, fault: str, status: int
) -> None:
    """The first answer is a page with status 200: the vendor would come again after 3 s."""
    door.vendor.faults(fault)
    long_id = f"tenant~{id_}~2"  # no id of ours: the product is told its own
    answers = itertools.chain([reply("<p>thank you</p>")], itertools.repeat(reply('{"code": "200"}')))
    with serving(once(lambda peer: peer.send(next(answers)))) as receiver:
        swap(http, long_id, "face/fusion", callbackUrl=f"{receiver.url}/done?token=1")
        wait_until(lambda: len(receiver.requests) == 2, what="the second try")
        with door.jobs() as jobs:
            webhook = wait_until(lambda: delivered(jobs.get(job_id("shop", business_id_of(long_id)))))
        assert webhook is not None
        assert (webhook.attempts, webhook.last_status) == (2, 200)
    first, second = receiver.requests
    assert first.line == "POST /done?token=1 HTTP/1.1"
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == query(http, long_id, "face/fusion")
    assert json.loads(first.body)["data"]["status"] == status
    assert json.loads(first.body)["data"]["businessTaskId"] == long_id
    assert second.body == first.body


def delivered(job: Job) -> WebhookStatus | None:
    return job.webhook if job.webhook and job.webhook.state == "delivered" else None


def test_a_task_whose_record_has_expired_is_neither_unknown_nor_begun_again(
    door: Door, http: httpx.Client, id_: str
) -> None:
    assert swap(http, id_)["data"]["status"] == 1
    door.expire(job_id("shop", id_))
    for answer in (query(http, id_), swap(http, id_), swap(http, id_, targetUrl="http://127.0.0.1/c.png")):
        assert (answer["code"], answer["data"]) == ("410", None)
        assert "has expired" in answer["msg"]
    client = door.client()
    assert isinstance(vendor_query(client, "roop", id_), OutcomeUnknown)
    assert isinstance(vendor_swap(client, "roop", {**BODY, "businessTaskId": id_}), Failed)
    client.close()
    assert door.vendor.get("tasks")[job_id("shop", id_)]["calls"] == 1


@pytest.mark.usefixtures("held_line")
def test_a_client_that_hangs_up_gives_its_place_among_the_waiting_back(door: Door, id_: str) -> None:
    with door.gateway_with(SWAPJOBS_GATEWAY_MAX_WAITS="1") as side, calling(side) as http, door.jobs() as jobs:
        with contextlib.closing(socket.create_connection(("127.0.0.1", int(side.url.rpartition(":")[2])))) as raw:
            body = json.dumps({**BODY, "businessTaskId": id_})
            headers = "".join(f"{name}: {value}\r\n" for name, value in side.headers.items())
            head = f"POST {TOOL}/roop HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            raw.sendall((head + body).encode())
            wait_until(lambda: query(http, id_)["data"])
            assert swap(http, f"{id_}-no-place")["data"]["status"] == 0
        ids = (f"{id_}-{number}" for number in itertools.count())
        with ThreadPoolExecutor(1) as thread:

            def waiting() -> futures.Future[dict[str, Any]] | None:
                call = thread.submit(swap, http, next(ids))
                return None if futures.wait([call], timeout=0.5).done else call

            call = wait_until(waiting, what="a place")
            assert call is not None
            jobs.operator.resume()
            assert call.result()["data"]["status"] == 1


# -- who may come, and how often


def test_a_tenants_tasks_are_its_own(door: Door, http: httpx.Client, id_: str) -> None:
    swap(http, id_)
    other = Side(door.url, door.vendor, "other", f"{KEY_SECRET}-too")
    with calling(other) as theirs:
        assert query(theirs, id_)["data"] is None
        assert swap(theirs, id_)["data"]["taskId"] != query(http, id_)["data"]["taskId"]


def test_id_and_secret_must_be_those_of_one_key(door: Door, id_: str) -> None:
    with redis.Redis.from_url(door.environment["SWAPJOBS_REDIS_URL"], decode_responses=True) as client:
        made, revoked = ApiKeys(client).create("shop"), ApiKeys(client).create("shop")
        ApiKeys(client).revoke(revoked.id)
        pairs = {
            (made.id, made.key): "200",
            ("shop", KEY_SECRET): "200",
            ("shop", made.key): "401",
            (revoked.id, made.key): "401",
            (made.id, KEY_SECRET): "401",
            (made.id, ""): "401",
            ("", made.key): "401",
            ("", ""): "401",
            ("other", KEY_SECRET): "401",
            (revoked.id, revoked.key): "401",
            ("sh\xf6p", "\xfc" * 40): "401",
        }
        for (key_id, secret), code in pairs.items():
            with calling(Side(door.url, door.vendor, "", "")) as http:
                headers = [(b"X-Request-req-accessKeyId", key_id.encode("latin-1"))]
                headers += [(b"X-Request-req-accessKeySecret", secret.encode("latin-1"))]
                body = {**BODY, "businessTaskId": id_}
                http.headers.clear()
                answer = envelope_of(http.post(f"{TOOL}/roop", json=body, headers=headers))
                assert (answer["code"], (key_id, secret)) == (code, (key_id, secret))
                assert answer["msg"] == ("success" if code == "200" else "access key refused")
        client.delete(keys.gateway_keys())
    assert made.key not in door.gateway.output


def test_without_keys_a_product_on_this_machine_may_go_on_sending_the_vendors(door: Door, id_: str) -> None:
    with door.gateway_with(SWAPJOBS_GATEWAY_KEYS="") as side, calling(side) as http:
        assert swap(http, id_)["data"]["status"] == 1
        http.headers["X-Forwarded-For"] = "203.0.113.5"
        refused = swap(http, id_)
    assert (refused["code"], refused["data"]) == ("403", None)
    assert "serves this machine alone" in refused["msg"]


def test_too_many_calls_of_one_key_are_told_when_to_come_again(door: Door, id_: str) -> None:
    with door.gateway_with(SWAPJOBS_GATEWAY_KEY_RATE="2/h") as side, calling(side) as http:
        query(http, id_)
        query(http, id_)
        answer = http.post(f"{TOOL}/roop/queryTask", json={"businessTaskId": id_})
        client = side.client()
        throttled = vendor_query(client, "roop", id_)
        client.close()
    assert (answer.status_code, envelope_of(answer)["code"]) == (429, "429")
    assert int(answer.headers["Retry-After"]) > 0
    assert isinstance(throttled, Throttled)
    assert throttled.retry_after_s


@pytest.mark.usefixtures("held_line")
def test_a_long_line_takes_no_new_jobs_but_tells_of_its_own(door: Door, http: httpx.Client) -> None:
    ids = [f"job-{next(_numbers)}" for _ in range(2)]
    for id_ in ids:  # one may be on the ready queue
        assert swap(http, id_, "face/fusion", callbackUrl="https://callbacks.example/")["data"]["status"] == 0
    limits = {"SWAPJOBS_GATEWAY_MAX_QUEUED": "1", "SWAPJOBS_GATEWAY_VENDOR_WAIT_S": "0"}
    with door.gateway_with(**limits) as side, calling(side) as narrow:
        new = narrow.post(f"{TOOL}/roop", json={**BODY, "businessTaskId": "new"})
        assert (new.status_code, envelope_of(new)["code"]) == (429, "429")
        assert int(new.headers["Retry-After"]) > 0
        assert swap(narrow, ids[0], "face/fusion")["code"] == "200"
        client = side.client()
        assert isinstance(vendor_swap(client, "roop", {**BODY, "businessTaskId": "new"}), Throttled)
        client.close()
    assert query(http, "new")["data"] is None


def test_while_redis_is_away_callers_are_told_to_come_again(tmp_path: Path, door: Door) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with EmbeddedRedis(tmp_path) as server:
        environment = {**door.environment, "SWAPJOBS_REDIS_URL": server.url}
        command = ("swapjobs", "gateway", "--port", url.rpartition(":")[2])
        with Program(*command, cwd=tmp_path, env=environment).wait_for("gateway ready"):
            side = Side(url, door.vendor, door.key_id, door.key_secret)
            with calling(side) as http:
                assert query(http, "job")["data"] is None
                kill_redis(server)
                answers = [http.post(path, json={**BODY, "businessTaskId": "job"}) for path in PATHS[:2]]
            client = side.client()
            outcomes = [
                vendor_swap(client, "roop", {**BODY, "businessTaskId": "job"}),
                vendor_query(client, "roop", "job"),
            ]
            client.close()
    for answer in answers:
        assert (answer.status_code, envelope_of(answer)["code"]) == (503, "503")
        assert int(answer.headers["Retry-After"]) > 0
    for outcome in outcomes:
        assert isinstance(outcome, Throttled)
        assert outcome.vendor_wide


# -- what may be sent


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b'{"businessTaskId": "x"',
        b"\xff\xfe",
        b'{"businessTaskId": "\xff"}',
        b'{"businessTaskId": "\\ud800"}',
        b"[" * 200_000,
        b'{"businessTaskId": ' * 20_000,
        b'{"businessTaskId": ' + b"9" * 100_000 + b"}",
        b'{"businessTaskId": ["x"], "sourceUrl": {"a": 1}, "targetUrl": true}',
        b'{"businessTaskId": ""}',
        json.dumps({**BODY, "businessTaskId": "x" * 257}).encode(),
    ],
)
def test_a_hostile_body_gets_the_envelope_with_a_short_reason(http: httpx.Client, path: str, raw: bytes) -> None:
    answer = http.post(path, content=raw)
    assert answer.status_code == 200
    assert (envelope_of(answer)["code"], envelope_of(answer)["data"]) == ("400", None)
    assert 0 < len(envelope_of(answer)["msg"]) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(max_size=8), item, max_size=3),
    max_leaves=6,
)
FIELDS = ("sourceUrl", "targetUrl", "businessTaskId", "fidelityWeight", "faceIdx", "callbackUrl")


@pytest.mark.usefixtures("held_line")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_json_at_all_gets_the_envelope(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    """No such body asks for a swap, since no text found at random is a URL."""
    answer = http.post(path, content=json.dumps({**body, "targetUrl": body.get("targetUrl")}).encode())
    assert answer.status_code == 200
    assert envelope_of(answer)["code"] in ({"200", "400"} if "queryTask" in path else {"400"})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_in_the_vendors_words(http: httpx.Client, *, chunked: bool) -> None:
    size = 1_048_577
    content = itertools.repeat(b"x" * 1024, size // 1024 + 1) if chunked else b"x" * size
    answer = http.post(f"{TOOL}/roop", content=content)
    assert (answer.status_code, envelope_of(answer)["code"]) == (200, "413")
    assert envelope_of(answer)["msg"] == "the body is larger than 1048576 bytes"


def test_wrong_urls_are_named_as_the_vendor_names_them(http: httpx.Client, id_: str) -> None:
    assert swap(http, id_, sourceUrl="ftp://pictures.example/")["msg"].startswith("sourceUrl: must begin with http")
    assert swap(http, id_, "face/fusion", sourceUrl=["http://a.example/", "x"])["msg"].startswith("sourceUrl.1: must")
    assert query(http, id_)["data"] is None


@pytest.mark.parametrize("path", ["", "/", "/roop/", "/hair/change", "/roop/queryTask/x", "/../tool/%00", "/v1/roop"])
def test_other_paths_below_the_vendors_say_what_there_is(http: httpx.Client, path: str) -> None:
    """Never with code 404, which a client may read as "task not known"."""
    for method in ("POST", "GET"):
        answer = http.request(method, f"{TOOL}{path}", content=b"{}" if method == "POST" else None)
        if answer.headers["Content-Type"] == "application/problem+json":
            assert (path, answer.status_code) == ("", 404)
        else:
            assert envelope_of(answer)["code"] == "400"
            assert "face/fusion" in envelope_of(answer)["msg"]


def test_the_log_tells_no_secret_and_no_body(door: Door, http: httpx.Client, id_: str) -> None:
    swap(http, id_, sourceUrl="http://127.0.0.1/a.png?signature=t0p-s3cret")
    wait_until(lambda: f"{TOOL}/roop" in door.gateway.output)
    assert KEY_SECRET not in door.gateway.output
    assert "t0p-s3cret" not in door.gateway.output
    with door.jobs() as jobs:
        assert jobs.get(job_id("shop", id_)).state is JobState.SUCCEEDED
    assert ErrorCode.INTERNAL not in door.gateway.output
