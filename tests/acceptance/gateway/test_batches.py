"""Batches over HTTP: a real gateway, rows of any kind and number, clients that talk, hang up, or never listen."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.builders import wait_until
from support.killed_redis import kill_redis
from support.processes import ACME_KEY, ZETA_KEY
from swapjobs import SwapClient
from swapjobs.gateway.batch_upload import MOST_OF_TENANT
from swapjobs.settings import CoreSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import GatewayProcess, Program
    from swapjobs.store.store import Store

NDJSON: Final = {"Content-Type": "application/x-ndjson"}
CSV: Final = {"Content-Type": "text/csv"}
KEYS: Final = {"acme": "acme-key-of-the-tests", "other": "other-key-of-the-tests"}


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """No vendor: nothing is swapped here."""
    return {"SWAPJOBS_REDIS_URL": redis_url, "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s"}


def start(program: Callable[..., Program], **settings: str) -> tuple[Program, str]:
    """Start a gateway and return it with its address."""
    running = program("swapjobs", "gateway", "--port", "0", **settings).wait_for("gateway ready on ")
    return running, running.output.partition("gateway ready on ")[2].split()[0]


@pytest.fixture
def url(common_gateways: Callable[..., GatewayProcess], redis_url: str) -> str:  # noqa: ARG001 - emptied for each test
    return common_gateways().url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        yield http


def row(number: int, **fields: Any) -> bytes:
    urls = {"source_url": f"https://a.example/{number}.jpg", "target_url": "https://b.example/t.jpg"}
    return json.dumps({**urls, **fields}).encode() + b"\n"


def rows_and_summary(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the outcomes and the summary of an answer."""
    *lines, last = map(json.loads, text.splitlines())
    return lines, last["summary"]


def outcomes(text: str) -> dict[int, str]:
    return {line["line"]: line["outcome"] for line in rows_and_summary(text)[0]}


class Talk:
    """A client that sends a body piece by piece, and reads the answer when it is told to."""

    def __init__(self, url: str, path: str, **headers: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self.socket = socket.socket()
        self.socket.settimeout(60)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.socket.connect((host, int(port)))
        sent = {"Host": f"{host}:{port}", "Transfer-Encoding": "chunked", **NDJSON, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.socket.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.answer = bytearray()

    def send(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.socket.sendall(b"0\r\n\r\n")

    def hear(self, text: bytes) -> None:
        """Read until the answer holds `text`."""
        looked = 0
        while self.answer.find(text, looked) < 0:
            looked = max(0, len(self.answer) - len(text))
            piece = self.socket.recv(65_536)
            assert piece, self.answer[-500:]
            self.answer += piece

    @property
    def text(self) -> str:
        """The body of the answer, which must be whole."""
        rest = memoryview(self.answer.partition(b"\r\n\r\n")[2])
        body: list[bytes] = []
        while (size := int(bytes(rest[:10]).partition(b"\r\n")[0], 16)) > 0:
            begin = len(bytes(rest[:10]).partition(b"\r\n")[0]) + 2
            body.append(bytes(rest[begin : begin + size]))
            rest = rest[begin + size + 2 :]
        return b"".join(body).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_each_row_is_told_and_the_same_body_again_makes_nothing_twice(http: httpx.Client) -> None:
    body = b"".join(
        [row(1), b"\n", row(2, business_task_id="own"), row(3, business_task_id="own"), b"nonsense\n", row(5, tool="x")]
    )
    path = "/v1/batches?batch_id=spring&close=true"
    answer = http.post(path, content=body, headers=NDJSON)
    assert (answer.status_code, answer.headers["location"]) == (200, "/v1/batches/spring")
    lines, summary = rows_and_summary(answer.text)
    assert {line["line"]: line["outcome"] for line in lines} == {
        1: "created",
        3: "created",
        4: "conflict",
        5: "invalid",
        6: "invalid",
    }
    assert lines[3]["error"] == "is not JSON: Expecting value at column 1"
    assert summary == {
        "batch_id": "spring",
        "state": "closed",
        "complete": True,
        "rows": 5,
        "error": None,
        "created": 2,
        "existing": 0,
        "conflict": 1,
        "invalid": 2,
        "refused": 0,
    }
    job = http.get(f"/v1/jobs/{lines[0]['id']}").json()
    assert (job["business_task_id"], job["batch_id"], job["priority"]) == ("spring-1", "spring", "bulk")
    again = outcomes(http.post(path, content=body, headers=NDJSON).text)
    assert again == {1: "existing", 3: "existing", 4: "conflict", 5: "invalid", 6: "invalid"}
    more = http.post(path, content=row(9, business_task_id="late"), headers=NDJSON)
    assert outcomes(more.text) == {1: "invalid"}
    assert http.get("/v1/batches/spring").json()["total"] == 2


def test_csv_and_a_batch_without_a_name(http: httpx.Client) -> None:
    body = (
        'source_url,target_url,metadata\nhttps://a.example/s,https://b.example/t,"{""n"":\n1}"\nhttps://a.example/s\n'
    )
    answer = http.post("/v1/batches", content=body.encode(), headers=CSV)
    lines, summary = rows_and_summary(answer.text)
    assert [(line["line"], line["outcome"]) for line in lines] == [(2, "created"), (4, "invalid")]
    assert summary["state"] == "open"
    assert http.get(answer.headers["location"]).json()["counts"]["queued"] == 1
    assert http.get("/v1/batches").json()["batches"][0]["id"] == summary["batch_id"]


def test_a_bad_line_costs_itself_only(program: Callable[..., Program]) -> None:
    _, url = start(program, SWAPJOBS_GATEWAY_MAX_BODY_BYTES="1024")
    long = row(2, metadata={"text": "x" * 10_000_000})
    bad = [long, b"\xff\xfe\n", b"[" * 1000 + b"\n", b'{"source_url": "\\ud800"}\n', b"[1]\n", b"{}\n"]
    body = b"".join([row(1), *bad, row(8)])
    answer = httpx.post(f"{url}/v1/batches", content=body, headers=NDJSON, timeout=60, trust_env=False)
    assert outcomes(answer.text) == {1: "created", **dict.fromkeys(range(2, 8), "invalid"), 8: "created"}
    assert rows_and_summary(answer.text)[0][1]["error"] == "is longer than 1024 bytes"


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "code"),
    [
        (b"", NDJSON, "", 422, "invalid_request"),
        (b"\n", NDJSON, "", 422, "invalid_request"),
        (b"[{}]", NDJSON, "", 422, "invalid_request"),
        (b"a,b\n", CSV, "", 422, "invalid_request"),
        (b"\xff\xff\n", CSV, "", 422, "invalid_request"),
        (b"x" * 2_000_000, CSV, "", 422, "invalid_request"),
        (b"{}", {}, "", 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json"}, "", 415, "unsupported_media_type"),
        (b"{}", {**NDJSON, "Content-Encoding": "gzip"}, "", 415, "unsupported_media_type"),
        (b"{}", NDJSON, "?batch_id=~", 422, "invalid_request"),
        (b"{}", NDJSON, f"?batch_id={'x' * 65}", 422, "invalid_request"),
        (b"{}", NDJSON, "?callback_url=ftp://x", 422, "invalid_request"),
        (b"{}", NDJSON, "?close=perhaps", 422, "invalid_request"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(
    body: bytes, headers: dict[str, str], query: str, status: int, code: str, http: httpx.Client
) -> None:
    answer = http.post(f"/v1/batches{query}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert http.get("/v1/batches").json()["batches"] == []


def test_a_body_without_a_header_is_told_so_and_its_signed_urls_are_not_repeated(http: httpx.Client) -> None:
    row = b"https://s3.example/a.jpg?X-Amz-Signature=HUSH,https://s3.example/b.jpg?X-Amz-Signature=HUSH\n"
    answer = http.post("/v1/batches", content=row, headers=CSV)
    text = "body: the first line must name the columns (source_url,target_url); it looks like data"
    assert (answer.status_code, answer.json()["detail"]) == (422, text)


def test_outcomes_come_while_rows_are_still_sent(url: str, client: SwapClient) -> None:
    with Talk(url, "/v1/batches?batch_id=live&close=true") as talk:
        talk.send(row(1))
        talk.hear(b'{"line":1,')
        assert client.batches.get("live").total == 1
        talk.send(row(2)[:20])
        talk.send(row(2)[20:])
        talk.hear(b'{"line":2,')
        assert b"summary" not in talk.answer
        talk.end()
        talk.hear(b'"complete":true')


def test_a_client_that_hears_nothing_until_all_is_sent_is_not_blocked(program: Callable[..., Program]) -> None:
    """Most HTTP clients are so. More is sent, and more is answered, than all buffers on the way hold; memory stays."""
    running, url = start(program)
    process, rows = psutil.Process(running.process.pid), 80_000
    block = b"".join(b"x" * 150 + b"\n" for _ in range(1000))
    with Talk(url, "/v1/batches?batch_id=deaf") as talk:
        talk.send(row(0) + block)
        before = process.memory_info().rss
        for _ in range(rows // 1000):
            talk.send(block)
        talk.end()
        grown = process.memory_info().rss - before
        talk.hear(b"0\r\n\r\n")
    lines, summary = rows_and_summary(talk.text)
    assert [line["line"] for line in lines] == list(range(1, rows + 1002))
    assert (summary["created"], summary["invalid"]) == (1, rows + 1000)
    assert len(talk.text) > 6_500_000
    assert grown < 8_000_000


def test_hanging_up_in_the_middle_keeps_what_was_accepted_and_nothing_by_halves(
    url: str, http: httpx.Client, client: SwapClient
) -> None:
    rows = [row(number) for number in range(300)]
    with Talk(url, "/v1/batches?batch_id=cut&close=true") as talk:
        talk.send(b"".join(rows[:150]) + rows[150].rstrip(b"\n"))  # the last row is whole, but its line is not ended
        talk.hear(b'{"line":150,')
    wait_until(lambda: client.batches.get("cut").total >= 150)
    answer = http.post("/v1/batches?batch_id=cut&close=true", content=b"".join(rows), headers=NDJSON)
    lines, summary = rows_and_summary(answer.text)
    assert [line["outcome"] for line in lines] == ["existing"] * 150 + ["created"] * 150
    assert (summary["state"], client.batches.get("cut").total) == ("closed", 300)


def test_a_full_queue_holds_the_body_back(program: Callable[..., Program], client: SwapClient) -> None:
    _, url = start(program, SWAPJOBS_GATEWAY_MAX_QUEUED="50")
    with Talk(url, "/v1/batches?batch_id=held&close=true") as talk:
        talk.send(b"".join(row(number) for number in range(120)))
        talk.end()
        talk.hear(b'{"line":50,')
        assert client.batches.get("held").total == 50
        accepted = [json.loads(line) for line in talk.answer.splitlines() if line.startswith(b'{"line"')]
        for item in accepted:
            client.cancel(item["id"])
        talk.hear(b'{"line":100,')
        assert b"refused" not in talk.answer
        for job in client.list(batch_id="held", limit=200).jobs:
            client.cancel(job.id)
        talk.hear(b'"complete":true')
    assert client.batches.get("held").total == 120


def test_one_tenants_uploads_leave_room_for_others(gateway: GatewayProcess) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(MOST_OF_TENANT):
            talk = stack.enter_context(Talk(gateway.url, "/v1/batches", Authorization=f"Bearer {ACME_KEY}"))
            talk.send(row(number, business_task_id=f"upload-{number}"))
            talk.hear(b"created")
        statuses = {}
        for key in (ACME_KEY, ZETA_KEY):
            headers = {**NDJSON, "Authorization": f"Bearer {key}"}
            answer = httpx.post(f"{gateway.url}/v1/batches", content=row(1), headers=headers, trust_env=False)
            statuses[key] = (answer.status_code, answer.headers.get("Retry-After"))
        assert statuses == {ACME_KEY: (429, "10"), ZETA_KEY: (200, None)}


def test_a_redis_that_goes_away_meanwhile_is_waited_for(
    program: Callable[..., Program], environment: dict[str, str], tmp_path: Path
) -> None:
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        _, url = start(program)
        with Talk(url, "/v1/batches?batch_id=outage&close=true") as talk:
            talk.send(row(1))
            talk.hear(b'{"line":1,')
            kill_redis(server)
            talk.send(row(2))
            talk.end()
            server.start()
            talk.hear(b'"complete":true')
        with SwapClient(CoreSettings(redis_url=server.url)) as client:
            batch = client.batches.get("outage")
            assert (batch.state, batch.total) == ("closed", 2)


def test_a_tenant_sees_and_touches_only_its_own(program: Callable[..., Program]) -> None:
    pairs = ",".join(f"{tenant}:{key}" for tenant, key in KEYS.items())
    _, url = start(program, SWAPJOBS_GATEWAY_KEYS=pairs)
    acme, other = (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30)
        for key in KEYS.values()
    )
    with acme, other:
        foreign = row(2, tenant="other")
        answer = acme.post("/v1/batches?batch_id=mine", content=row(1) + foreign + row(3, batch_id="b"), headers=NDJSON)
        assert outcomes(answer.text) == {1: "created", 2: "invalid", 3: "invalid"}
        assert acme.get("/v1/batches/mine").json()["tenant"] == "acme"
        assert other.get("/v1/batches").json()["batches"] == []
        for method, path in (
            *(("GET", path) for path in ("/v1/batches/mine", "/v1/batches/mine/report")),
            *(("POST", f"/v1/batches/mine/{item}") for item in ("close", "pause", "resume", "cancel", "retry")),
        ):
            answer = other.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "batch_not_found"), path
            assert httpx.request(method, f"{url}{path}", trust_env=False).status_code == 401
        assert acme.get("/v1/batches/mine").json()["state"] == "open"
        assert other.post("/v1/batches?batch_id=mine", content=row(7), headers=NDJSON).status_code == 200
        assert acme.get("/v1/batches/mine").json()["total"] == 1


def test_a_batch_is_steered(http: httpx.Client) -> None:
    http.post("/v1/batches?batch_id=b", content=row(1) + row(2), headers=NDJSON)
    assert http.post("/v1/batches/b/pause").json()["paused"]
    assert not http.post("/v1/batches/b/resume").json()["paused"]
    assert http.post("/v1/batches/b/close").json()["state"] == "closed"
    assert http.post("/v1/batches/b/cancel").json()["counts"]["cancelled"] == 2
    assert http.get("/v1/batches/b").json()["state"] == "completed"
    assert http.post("/v1/batches/b/retry?error_code=no_face").json()["round"] == 1
    assert http.post("/v1/batches/b/retry?error_code=nonsense").status_code == 422
    assert http.post("/v1/batches/b/explode").status_code == 404
    assert http.get("/v1/batches?cursor=x").status_code == 422


def test_the_report_has_a_policy_of_its_own(http: httpx.Client) -> None:
    http.post("/v1/batches?batch_id=b", content=row(1) + row(2), headers=NDJSON)
    page = http.get("/v1/batches/b/report")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "img-src https: http:;" in policy  # it came over http
    assert "frame-ancestors 'none'" in policy
    assert page.text.endswith("</html>\n")
    assert page.text.count('"queued"') >= 2
    bare = http.get("/v1/batches/b/report?pictures=false")
    assert "img-src 'none'" in bare.headers["content-security-policy"]


NASTY = st.lists(
    st.sampled_from(
        [b'"', b",", b"\r", b"\n", b"\xff", b"\x00", b"{", b"}", b"[", b"\xef\xbb\xbf", b"\\ud800", b"x", row(1)]
    )
).map(b"".join)
HEADS = st.sampled_from([b"", b"source_url,target_url,metadata\n", b"{", row(0)])


def test_no_body_whatever_ends_badly(http: httpx.Client) -> None:
    @settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
    @given(HEADS, NASTY | st.binary(max_size=80), st.sampled_from([NDJSON, CSV]))
    def check(head: bytes, rest: bytes, headers: dict[str, str]) -> None:
        body = head + rest
        ends = body.count(b"\n" if b"\n" in body else b"\r")  # of lines; a file of an old Mac has no other
        answer = http.post("/v1/batches?batch_id=any", content=body, headers=headers)
        if answer.status_code == 422:
            assert answer.json()["code"] == "invalid_request"
            return
        assert answer.status_code == 200, answer.text
        lines, summary = rows_and_summary(answer.text)
        assert len(lines) == summary["rows"] <= ends + 1
        assert summary["complete"]
        numbers = [line["line"] for line in lines]
        assert numbers == sorted(set(numbers))

    check()


def test_a_spreadsheets_file_is_taken_as_it_is(http: httpx.Client, store: Store) -> None:
    """Its own columns, its separators, its encoding, as a browser with Excel calls it."""
    text = "url;Ziel;Shop;Notiz\r\nhttps://a.example/s.jpg;https://a.example/t.jpg;Köln;x\r\n;;;\r\n"
    maps = {"map": ["url=source_url", "Ziel=target_url", "Shop=metadata.shop"]}
    for kind, body in (
        ("application/vnd.ms-excel; charset=windows-1252", text.encode("windows-1252")),
        ("text/csv", text.encode("utf-8-sig")),
        ("text/tab-separated-values", text.replace(";", "\t").encode("utf-16")),
    ):
        sent = http.post(
            "/v1/batches", params={**maps, "ignore_unknown": "yes"}, content=body, headers={"Content-Type": kind}
        )
        first, summary = map(json.loads, sent.text.splitlines())
        assert (first["outcome"], summary["summary"]["rows"]) == ("created", 1)
        assert store.jobs.get(first["id"]).to_job().metadata == {"shop": "Köln"}
    refused = http.post("/v1/batches", params=maps, content=text.encode(), headers=CSV)
    assert refused.status_code == 422
    assert "names Notiz, which is unknown" in refused.json()["detail"]
    for query, header in (({"map": "url"}, CSV), ({}, {"Content-Type": "text/csv; charset=utf-7"})):
        assert http.post("/v1/batches", params=query, content=text.encode(), headers=header).status_code == 422
