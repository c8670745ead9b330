"""Clients that are slow, silent, in a hurry, or gone: the gateway serves the others, and keeps nothing of these."""

from __future__ import annotations

import contextlib
import json
import re
import select
import threading
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest

from support.builders import wait_until
from support.raw_http import GOOD, PICTURES, Rude, Target, head, post, statuses, target
from swapjobs import SwapRequest

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

CHUNKED = "Transfer-Encoding: chunked"
JSON = "Content-Type: application/json"
ROWS = "application/x-ndjson"
ASKED = head("GET", "/healthz") + b"\r\n"
LAST = head("GET", "/healthz", "Connection: close") + b"\r\n"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that waits for ever, as far as these tests go: what ends here was ended by the client's going."""
    with target(tmp_path_factory.mktemp("patient"), SWAPJOBS_GATEWAY_CLIENT_TIMEOUT_S="600") as made:
        yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that waits for a second."""
    with target(tmp_path_factory.mktemp("hasty"), SWAPJOBS_GATEWAY_CLIENT_TIMEOUT_S="1") as made:
        yield made


@contextlib.contextmanager
def many(target: Target, *beginnings: bytes, each: int) -> Iterator[list[Rude]]:
    """Open `each` connections with every one of these beginnings."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(target.rude(data)) for data in beginnings for _ in range(each)]


@contextlib.contextmanager
def dripping(clients: list[Rude], every_s: float = 0.1) -> Iterator[None]:
    """Let each send one more byte now and then."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(every_s):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.socket.send(b"1")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def readable(connection: socket.socket) -> bool:
    """By poll: select takes no descriptor past 1023."""
    asked = select.poll()
    asked.register(connection, select.POLLIN)
    return bool(asked.poll(0))


def closed(clients: list[Rude]) -> int:
    """Count those whose connection the gateway has ended; what it sent them is read and thrown away."""
    count = 0
    for client in clients:
        with contextlib.suppress(ConnectionError, OSError):
            while readable(client.socket):
                if not client.socket.recv(65536):
                    break
            else:
                continue
        count += 1
    return count


def rows(count: int, prefix: str) -> bytes:
    return b"".join(
        json.dumps({**PICTURES, "business_task_id": f"{prefix}-{n}"}).encode() + b"\n" for n in range(count)
    )


# -- slow


def test_clients_that_send_a_byte_now_and_then_keep_nobody_else_waiting_and_are_cut_off(hasty: Target) -> None:
    """A slow body costs no more than its connection, and no connection is for ever."""
    beginnings = (
        b"GET /v1/jobs HTTP/1.1\r\nX-",
        head("POST", "/v1/jobs", JSON, "Content-Length: 1000000") + b"\r\n" + b"{",
        head("POST", "/v1/jobs", JSON, "Content-Length: 1000000", key=None) + b"\r\n" + b"{",
        head("POST", "/v1/batches", f"Content-Type: {ROWS}", "Content-Length: 1000000") + b"\r\n" + GOOD + b"\n" + b"{",
    )
    with many(hasty, *beginnings, each=75) as clients, dripping(clients):
        for _ in range(20):
            assert hasty.http.post("/v1/jobs", content=GOOD, headers={"Content-Type": "application/json"}).is_success
        wait_until(lambda: closed(clients) == len(clients), what="all of the slow are cut off")
        upload = partial(hasty.http.post, "/v1/batches", content=rows(10, "after"), headers={"Content-Type": ROWS})
        wait_until(lambda: '"created":10,' in upload().text, what="there is a place for a batch")
    hasty.check()


def test_who_asked_for_something_slowly_is_told_why_it_was_cut_off(hasty: Target) -> None:
    with hasty.rude(b"GET /healthz HTTP/1.1\r\nHost: x\r\n") as slow_head:
        assert b'"code":"request_timeout"' in slow_head.read()
    with hasty.rude(head("POST", "/v1/jobs", JSON, "Content-Length: 100") + b"\r\n{") as slow_body:
        assert statuses(slow_body.read()) == [408]
    with hasty.rude() as silent:
        assert silent.read() == b""
    hasty.check()


def test_a_body_that_comes_on_steadily_is_not_cut_off(hasty: Target) -> None:
    """It takes three times as long as a client may be silent."""
    with hasty.rude(
        head("POST", "/v1/batches", f"Content-Type: {ROWS}", CHUNKED, "Connection: close") + b"\r\n"
    ) as client:
        begun = threading.Event()
        for n in range(30):
            line = rows(1, f"steady-{n}")
            client.send(b"%x\r\n%b\r\n" % (len(line), line))
            begun.wait(0.1)
        assert b'"created":30,' in client.send(b"0\r\n\r\n").read()
    hasty.check()


@pytest.mark.parametrize("path", ["/v1/jobs?limit=200", "/v1/batches/big/report"])
def test_who_does_not_read_a_big_answer_is_cut_off(hasty: Target, path: str) -> None:
    request = {**PICTURES, "tenant": "acme", "batch_id": "big", "metadata": {"text": "x" * 4000}}
    list(hasty.jobs.submit_many(SwapRequest(**request, business_task_id=f"big-{n}") for n in range(300)))
    before = hasty.memory()
    asked = (head("GET", path) + b"\r\n") * 50
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(hasty.rude(asked, receive_buffer=4096))
        assert hasty.http.get("/v1/jobs?limit=200").is_success
        wait_until(lambda: hasty.connections() <= 1, what="those who do not read are cut off")
    assert hasty.memory() - before < 100 * 2**20
    hasty.check()


def test_who_sends_rows_and_does_not_read_what_became_of_them_is_cut_off(hasty: Target) -> None:
    line = b"{}\n"
    upload = head("POST", "/v1/batches?batch_id=unread", f"Content-Type: {ROWS}", CHUNKED) + b"\r\n"
    block = line * 20_000
    with hasty.rude(upload, receive_buffer=4096) as client:
        client.send(b"%x\r\n%b\r\n" % (len(GOOD) + 1, GOOD + b"\n"))
        client.socket.settimeout(5)
        with contextlib.suppress(TimeoutError):
            for _ in range(50):
                client.send(b"%x\r\n%b\r\n" % (len(block), block))
        wait_until(lambda: hasty.connections() == 0, deadline_s=60, what="it is cut off")
    hasty.check()


# -- many


def test_a_thousand_idle_connections_cost_little_and_end_by_themselves(hasty: Target) -> None:
    before = hasty.memory()
    with many(hasty, b"", each=1000) as clients:
        assert hasty.http.post("/v1/jobs", content=GOOD, headers={"Content-Type": "application/json"}).is_success
        wait_until(lambda: closed(clients) == 1000, what="the idle are cut off")
    assert hasty.memory() - before < 100 * 2**20
    hasty.check()


def test_with_too_many_connections_idle_ones_make_room_for_new_ones(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = {"SWAPJOBS_GATEWAY_MAX_CONNECTIONS": "50", "SWAPJOBS_GATEWAY_CLIENT_TIMEOUT_S": "600"}
    with target(tmp_path_factory.mktemp("full"), **limits) as full:
        job = full.http.post("/v1/jobs", json=PICTURES).json()["id"]
        stream = head("GET", f"/v1/jobs/{job}/events") + b"\r\n"
        with many(full, stream, each=10) as busy:
            for item in busy:
                assert statuses(item.read(until=b"event:")) == [200]
            with many(full, b"", b"GET /heal", each=100) as clients:
                assert full.http.post("/v1/jobs", json=PICTURES).is_success
                assert full.connections() <= 51
                assert closed(clients) > 100
            assert closed(busy) == 0  # those with a request under way
        full.check()
        with many(full, stream, each=50) as busy:
            for item in busy:
                item.read(until=b"event:")
            with full.rude(head("GET", "/healthz", "Connection: close") + b"\r\n") as refused:
                assert statuses(refused.read()) == [503]
            assert closed(busy) == 0
        full.check()


# -- gone


@pytest.mark.parametrize("leave", [Rude.reset, Rude.__exit__], ids=["reset", "closed"])
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /v1/jo",
        head("POST", "/v1/jobs", JSON, "Content-Length: 1000") + b"\r\n" + GOOD,
        head("POST", "/v1/jobs", JSON, CHUNKED) + b"\r\n3e8\r\n" + GOOD,
        post(GOOD, "Prefer: wait=60"),
        post(GOOD, "Prefer: wait=60") * 3,
        post(GOOD, "Expect: 100-continue"),
        head("POST", "/v1/batches", f"Content-Type: {ROWS}", CHUNKED) + b"\r\n3e8\r\n" + GOOD,
        head("POST", "/v1/batches", f"Content-Type: {ROWS}", CHUNKED) + b"\r\n3e8\r\n" + GOOD + b"\n" + GOOD,
    ],
    ids=["at once", "head", "body", "chunk", "wait", "waits", "continue", "first row", "rows"],
)
def test_who_goes_away_in_the_middle_leaves_nothing_behind(patient: Target, begun: bytes, leave: object) -> None:
    clients = [patient.rude(begun) for _ in range(10)]
    if b"wait=" in begun:
        wait_until(lambda: len(patient.watched()) == 10, what="all wait")
    for client in clients:
        leave(client)  # type: ignore[operator]  # one of the two above
    patient.check()
    for job in patient.accepted():
        assert patient.http.get(f"/v1/jobs/{job}").json()["source_url"] == PICTURES["source_url"]


@pytest.mark.parametrize("leave", [Rude.reset, Rude.__exit__], ids=["reset", "closed"])
def test_who_leaves_an_event_stream_leaves_nothing_behind(patient: Target, leave: object) -> None:
    jobs = [patient.http.post("/v1/jobs", json=PICTURES).json()["id"] for _ in range(10)]
    clients = [patient.rude(head("GET", f"/v1/jobs/{job}/events") + b"\r\n") for job in jobs for _ in range(3)]
    for client in clients:
        client.read(until=b"event:")
    wait_until(lambda: len(patient.watched()) == 10, what="all ten jobs are watched")
    for client in clients:
        leave(client)  # type: ignore[operator]  # one of the two above
    patient.check()


@pytest.mark.parametrize("leave", [Rude.reset, Rude.half_close], ids=["reset", "half closed"])
def test_rows_told_before_a_disconnect_are_kept_and_found_again(patient: Target, leave: object) -> None:
    """Nothing is half-accepted: each row is a whole job or none, and what was told is true."""
    name = f"cut-{getattr(leave, '__name__', '')}"
    body = rows(1000, name)
    upload = head("POST", f"/v1/batches?batch_id={name}", f"Content-Type: {ROWS}", "Content-Length: 10000000") + b"\r\n"
    with patient.rude(upload + body + body[:30]) as client:
        output = client.read(until=b'"line":100,').decode()
        leave(client)  # type: ignore[operator]  # one of the two above
        patient.check()
    promised = set(re.findall(r'"id":"([a-z0-9]{24})"', output))
    assert len(promised) >= 99
    accepted = patient.accepted(batch_id=name)
    assert promised <= accepted.keys()
    again = patient.http.post(f"/v1/batches?batch_id={name}", content=body, headers={"Content-Type": ROWS})
    *outcomes, summary = [json.loads(line) for line in again.text.splitlines()]
    existing = {outcome["id"] for outcome in outcomes if outcome["outcome"] == "existing"}
    assert accepted.keys() <= existing  # the last rows that came may have been taken after we looked
    assert summary["summary"]["created"] == 1000 - len(existing)
    assert len(patient.accepted(batch_id=name)) == 1000


def test_a_job_of_a_half_closed_connection_is_accepted_wholly_or_not_at_all(patient: Target) -> None:
    body = json.dumps({**PICTURES, "business_task_id": "half-closed"}).encode()
    with patient.rude(post(body)) as client:
        answer = client.half_close().read()
    assert statuses(answer) in ([], [202])
    answer_again = patient.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer_again.json()["business_task_id"] == "half-closed"
    patient.check()


# -- in a hurry


def test_pipelined_requests_are_answered_in_order(patient: Target) -> None:
    ids = [f"piped-{n}" for n in range(40)]
    asked = [post(json.dumps({**PICTURES, "business_task_id": item}).encode()) for item in ids[:-1]]
    asked.append(post(json.dumps({**PICTURES, "business_task_id": ids[-1]}).encode(), "Connection: close"))
    with patient.rude(b"".join(asked)) as client:
        answers = client.read()
    assert statuses(answers) == [202] * 40
    places = [answers.index(f'"{item}"'.encode()) for item in ids]
    assert places == sorted(places)
    patient.check()


def test_whole_requests_are_answered_whatever_comes_behind_them(patient: Target) -> None:
    job = json.dumps({**PICTURES, "business_task_id": "before-garbage"}).encode()
    with patient.rude(post(job) + ASKED + b"garbage\r\n\r\n" + ASKED) as client:
        answers = client.read()
    assert statuses(answers) == [202, 200]
    assert "before-garbage" in patient.accepted().values()
    patient.check()


def test_who_sends_requests_without_waiting_for_an_answer_is_not_given_all_the_memory(patient: Target) -> None:
    """The first waits, and all that comes meanwhile would have to be kept."""
    before = patient.memory()
    with patient.rude(post(GOOD, "Prefer: wait=60")) as client:
        wait_until(lambda: len(patient.watched()) == 1, what="it waits")
        for _ in range(100):
            client.send(ASKED * 1000)  # taken, so that the client's going would be seen
        assert patient.memory() - before < 20 * 2**20
        patient.jobs.cancel(patient.watched()[0].rpartition(":")[2])
        answers = client.read()
    assert statuses(answers) == [200] * 101
    assert b"connection: close" in answers.rpartition(b"HTTP/1.1 ")[2]
    patient.check()


def test_a_wish_for_another_protocol_is_passed_over(patient: Target) -> None:
    """As Java's client has it in its first request; the body and the next request are read as ever."""
    wish = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")
    last = head("GET", "/healthz", "Connection: Upgrade, close", "Upgrade: websocket") + b"\r\n"
    sent = post(GOOD, *wish) + head("POST", "/v1/jobs", JSON, CHUNKED, *wish) + b"\r\n"
    sent += b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD) + last
    before = len(patient.accepted())
    with patient.rude(sent) as client:
        assert statuses(client.read()) == [202, 202, 200]
    with patient.rude() as client:
        for begin in range(0, len(sent), 7):
            client.send(sent[begin : begin + 7])
        assert statuses(client.read()) == [202, 202, 200]
    assert len(patient.accepted()) == before + 4
    patient.check()


def test_what_comes_behind_a_body_is_no_field_of_the_request(patient: Target) -> None:
    body = b"%x\r\n%b\r\n0\r\nIdempotency-Key: trailing\r\n\r\n" % (len(GOOD), GOOD)
    with patient.rude(head("POST", "/v1/jobs", JSON, CHUNKED) + b"\r\n" + body + LAST) as client:
        assert statuses(client.read()) == [202, 200]
    assert "trailing" not in patient.accepted().values()


def test_a_head_may_take_its_time_after_a_rest(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The client's time begins with the head, not with the end of the answer before it."""
    with target(tmp_path_factory.mktemp("rest"), SWAPJOBS_GATEWAY_CLIENT_TIMEOUT_S="2") as resting:
        with resting.rude(ASKED) as client:
            client.read(until=b"}")
            for seconds, part in ((3.2, LAST[:10]), (1.2, LAST[10:])):
                threading.Event().wait(seconds)
                client.send(part)
            assert statuses(client.read()) == [200]
        resting.check()


def test_what_is_not_http_behind_an_answer_is_no_fault_of_ours(patient: Target) -> None:
    """The server below us tried to answer a second time."""
    with patient.rude(head("POST", "/v1/jobs", JSON, CHUNKED, key=None) + b"\r\n5\r\nabcde\r\n") as client:
        assert statuses(client.read(until=b"}")) == [401]
        assert client.send(b"zz\r\n").read() == b""
    job = patient.http.post("/v1/jobs", json=PICTURES).json()["id"]
    with patient.rude(head("GET", f"/v1/jobs/{job}/events", CHUNKED) + b"\r\n") as client:
        client.read(until=b"event:")
        client.send(b"zz\r\n").read()
    with patient.rude(head("POST", "/v1/jobs", JSON, CHUNKED, "Prefer: wait=60") + b"\r\n5\r\nabcde\r\n") as client:
        assert statuses(client.send(b"zz\r\n").read()) == [400]
    patient.check()


def test_nobody_without_a_key_gets_a_body_read(patient: Target) -> None:
    with patient.rude(head("POST", "/v1/jobs", JSON, "Content-Length: 1000000", key=None) + b"\r\n") as client:
        assert statuses(client.read(until=b"}")) == [401]
    kind = f"Content-Type: {ROWS}"
    with patient.rude(head("POST", "/v1/batches", kind, "Content-Length: 1000000", key=None) + b"\r\n") as client:
        assert statuses(client.read(until=b"}")) == [401]
    with httpx.Client() as other:
        assert other.get(f"http://127.0.0.1:{patient.port}/healthz").is_success
    patient.check()
