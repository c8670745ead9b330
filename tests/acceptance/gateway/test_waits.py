"""Waits and event streams of the gateway: many at once, through outages, and to a prompt end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.builders import make_request, wait_until
from support.killed_redis import kill_redis
from support.processes import ACME_KEY, ZETA_KEY
from swapjobs import SwapClient
from swapjobs.settings import CoreSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import GatewayProcess

KEYS = f"acme:{ACME_KEY}"


def submitted(client: SwapClient, count: int = 1) -> list[str]:
    return [client.submit(make_request(tenant="acme")).id for _ in range(count)]


def subscribed(client: SwapClient, count: int) -> None:
    """Wait until the gateway listens to so many jobs."""

    def channels() -> bool:
        return len(client._store.redis.pubsub_channels("swapjobs:*")) == count  # noqa: SLF001 - no public way

    wait_until(channels, what=f"{count} channels are listened to")


def test_two_hundred_wait_at_once_and_each_is_told_its_own_end(gateway: GatewayProcess, client: SwapClient) -> None:
    ids = submitted(client, 200)

    async def all_waiting() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=gateway.url,
            headers={**gateway.headers(), "Prefer": "wait=60"},
            limits=limits,
            timeout=70,
            trust_env=False,
        ) as http:
            asked = asyncio.gather(*(http.get(f"/v1/jobs/{id_}") for id_ in ids))
            await asyncio.to_thread(subscribed, client, len(ids))
            threads = await asyncio.to_thread(threads_of, gateway.program.process.pid)
            assert threads < 60
            for id_ in reversed(ids):
                await asyncio.to_thread(client.cancel, id_)
            return await asked

    answers = asyncio.run(all_waiting())
    assert [answer.json()["id"] for answer in answers] == ids
    assert {answer.json()["state"] for answer in answers} == {"cancelled"}
    subscribed(client, 0)


def threads_of(pid: int) -> int:
    import psutil  # noqa: PLC0415 - here alone

    return psutil.Process(pid).num_threads()


def test_a_job_that_ends_before_the_wait_begins_is_told_at_once(gateway: GatewayProcess, client: SwapClient) -> None:
    (id_,) = submitted(client)
    with ThreadPoolExecutor(4) as pool:  # the end comes anywhere around the subscription
        for _ in range(20):
            (id_,) = submitted(client)
            asked = pool.submit(gateway.http.get, f"/v1/jobs/{id_}", headers={"Prefer": "wait=60"})
            client.cancel(id_)
            assert asked.result(30).json()["state"] == "cancelled"


def test_beyond_the_bound_the_answer_comes_at_once(
    start_gateway: Callable[..., GatewayProcess], client: SwapClient
) -> None:
    gateway = start_gateway(SWAPJOBS_GATEWAY_KEYS=KEYS, SWAPJOBS_GATEWAY_MAX_WAITS="1")
    first, second = submitted(client, 2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.http.get, f"/v1/jobs/{first}", headers={"Prefer": "wait=60"})
        subscribed(client, 1)
        body = make_request().model_dump(mode="json", exclude_unset=True)
        at_once = gateway.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
        assert (at_once.status_code, at_once.json()["state"]) == (202, "queued")
        refused = gateway.http.get(f"/v1/jobs/{second}/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        client.cancel(first)
        assert waiting.result(30).json()["state"] == "cancelled"


def test_one_tenants_waits_leave_places_for_others(
    start_gateway: Callable[..., GatewayProcess], client: SwapClient
) -> None:
    both = f"acme:{ACME_KEY},zeta:{ZETA_KEY}"
    gateway = start_gateway(SWAPJOBS_GATEWAY_KEYS=both, SWAPJOBS_GATEWAY_MAX_WAITS="4")
    ids = submitted(client, 4)
    theirs = client.submit(make_request(tenant="zeta")).id
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(gateway.http.get, f"/v1/jobs/{id_}", headers={"Prefer": "wait=60"}) for id_ in ids[:3]]
        subscribed(client, 3)
        assert gateway.http.get(f"/v1/jobs/{ids[3]}/events").status_code == 429
        headers = {**gateway.headers(ZETA_KEY), "Prefer": "wait=60"}
        waiting.append(pool.submit(gateway.http.get, f"/v1/jobs/{theirs}", headers=headers))
        subscribed(client, 4)
        for id_ in (*ids[:3], theirs):
            client.cancel(id_)
        assert [answer.result(30).json()["state"] for answer in waiting] == ["cancelled"] * 4


def test_a_client_that_goes_away_frees_its_place(
    start_gateway: Callable[..., GatewayProcess], client: SwapClient
) -> None:
    gateway = start_gateway(SWAPJOBS_GATEWAY_KEYS=KEYS, SWAPJOBS_GATEWAY_MAX_WAITS="2")
    host, port = gateway.url.removeprefix("http://").split(":")
    first, second = submitted(client, 2)
    for path, prefer in ((f"/v1/jobs/{first}", "Prefer: wait=60\r\n"), (f"/v1/jobs/{second}/events", "")):
        with socket.create_connection((host, int(port))) as sock:
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ACME_KEY}\r\n{prefer}\r\n"
            sock.sendall(head.encode())
            subscribed(client, 1)
        subscribed(client, 0)
    assert "Traceback" not in gateway.program.output


@pytest.fixture
def own_redis(environment: dict[str, str], tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that only this test breaks."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        yield server


def test_waits_and_streams_outlast_a_killed_redis(
    own_redis: EmbeddedRedis, start_gateway: Callable[..., GatewayProcess]
) -> None:
    with SwapClient(CoreSettings(redis_url=own_redis.url)) as client:
        gateway = start_gateway(SWAPJOBS_GATEWAY_KEYS=KEYS)
        waited, streamed = submitted(client, 2)
        with ThreadPoolExecutor(2) as pool:
            answer = pool.submit(gateway.http.get, f"/v1/jobs/{waited}", headers={"Prefer": "wait=60"})
            stream = pool.submit(lambda: list(Events(gateway, streamed)))
            subscribed(client, 2)
            kill_redis(own_redis)
            refused = gateway.http.get(f"/v1/jobs/{waited}")
            assert (refused.status_code, refused.json()["code"]) == (503, "queue_unavailable")
            assert int(refused.headers["Retry-After"]) > 0
            unready = gateway.http.get("/readyz")
            assert unready.status_code == 503
            address = str(urlsplit(own_redis.url).port)  # what is inside is nobody's business outside
            assert address not in refused.text + unready.text
            assert gateway.http.get("/healthz").status_code == 200
            own_redis.start()
            client.cancel(waited)
            client.cancel(streamed)
            assert answer.result(30).json()["state"] == "cancelled"
            assert [name for name, _, _ in stream.result(30)] == ["queued", "cancelled"]
        assert gateway.http.get("/readyz").status_code == 200
        assert gateway.program.end() == 0
        assert "Traceback" not in gateway.program.output


class Events:
    """What a job's event stream tells: (event, id, data) each."""

    def __init__(self, gateway: GatewayProcess, job_id: str, **headers: str) -> None:
        self.gateway, self.job_id, self.headers = gateway, job_id, headers
        self.opened = threading.Event()

    def __iter__(self) -> Iterator[tuple[str, str, Any]]:
        with self.gateway.http.stream("GET", f"/v1/jobs/{self.job_id}/events", headers=self.headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            self.opened.set()
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if not line and "event" in fields:
                    yield fields["event"], fields["id"], json.loads(fields["data"])
                    fields = {}
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value


def test_a_stream_tells_where_the_job_stands_and_then_its_end(gateway: GatewayProcess, client: SwapClient) -> None:
    (id_,) = submitted(client)
    events = iter(Events(gateway, id_))
    name, version, job = next(events)
    assert (name, job) == ("queued", client.get(id_).model_dump(mode="json"))
    client.cancel(id_)
    ((name, last, job),) = events
    assert (name, job["state"]) == ("cancelled", "cancelled")
    assert last != version
    # a browser that comes back is told nothing twice
    over = gateway.http.get(f"/v1/jobs/{id_}/events", headers={"Last-Event-ID": last})
    assert (over.status_code, over.content) == (204, b"")
    assert [name for name, _, _ in Events(gateway, id_, **{"Last-Event-ID": version})] == ["cancelled"]
    client.retry(id_)
    seen = iter(Events(gateway, id_, **{"Last-Event-ID": last}))
    assert next(seen)[0] == "queued"


def test_what_was_seen_is_not_told_again(gateway: GatewayProcess, client: SwapClient) -> None:
    (id_,) = submitted(client)
    _, version, _ = next(iter(Events(gateway, id_)))
    events = Events(gateway, id_, **{"Last-Event-ID": version})
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(lambda: list(events))
        assert events.opened.wait(20)
        client.cancel(id_)
        assert [name for name, _, _ in result.result(30)] == ["cancelled"]


@pytest.mark.usefixtures("worker")
def test_a_stream_ends_with_the_picture(gateway: GatewayProcess, client: SwapClient) -> None:
    (id_,) = submitted(client)
    *_, (name, _, job) = Events(gateway, id_)
    assert name == "succeeded"
    assert job["output_url"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_its_end_the_gateway_lets_everybody_go(gateway: GatewayProcess, client: SwapClient, number: int) -> None:
    waited, streamed = submitted(client, 2)
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(gateway.http.get, f"/v1/jobs/{waited}", headers={"Prefer": "wait=60"})
        stream = pool.submit(lambda: list(Events(gateway, streamed)))
        subscribed(client, 2)
        assert gateway.program.end(number, deadline_s=20) == 0
        output = answer.result(5)  # the job stands as it stood: no error of the client's
        assert (output.status_code, output.json()["state"]) == (200, "queued")
        assert [name for name, _, _ in stream.result(5)] == ["queued"]
    assert "Traceback" not in gateway.program.output
