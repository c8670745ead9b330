"""Submits that come together share calls to Redis, and nothing else: neither outcome nor error, trace or record."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.builders import make_request
from support.killed_redis import kill_redis
from swapjobs import QueueUnavailable, SwapClient
from swapjobs.client.bulk import BLOCK
from swapjobs.contract.job import job_id
from swapjobs.gateway.app import make_app
from swapjobs.gateway.group_submit import GroupSubmit
from swapjobs.settings import CoreSettings, GatewaySettings
from swapjobs.store import durability, keys
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from swapjobs.store.store import Store

_TOGETHER_MS = 300  # for so long Redis answers no call, so that whatever is sent meanwhile comes together


@asynccontextmanager
async def gateway(redis_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway in this process, and a client for it."""
    app = make_app(GatewaySettings(redis_url=redis_url, gateway_key_rate="10000/s"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost", timeout=30) as http,
    ):
        yield http


def wanted(**fields: Any) -> dict[str, Any]:
    return make_request(**fields).model_dump(mode="json", exclude_unset=True)


def answers(redis_url: str, bodies: list[dict[str, Any]], *headers: dict[str, str]) -> list[httpx.Response]:
    """Submit all at once; return the answers in the same order."""

    async def submit() -> list[httpx.Response]:
        async with gateway(redis_url) as http:
            given = headers or ({},) * len(bodies)
            posts = (http.post("/v1/jobs", json=body, headers=own) for body, own in zip(bodies, given, strict=True))
            return list(await asyncio.gather(*posts))

    return asyncio.run(submit())


def calls(store: Store) -> int:
    """Return how many functions Redis has run."""
    stats: Any = store.redis.info("commandstats")
    return int(stats.get("cmdstat_fcall", {}).get("calls", 0))


def together(store: Store) -> None:
    store.redis.client_pause(_TOGETHER_MS, all=False)


def test_two_hundred_at_once_are_a_few_calls(redis_url: str, store: Store) -> None:
    bodies = [wanted() for _ in range(200)]
    before = calls(store)
    together(store)
    got = answers(redis_url, bodies)
    assert [answer.status_code for answer in got] == [202] * 200
    assert [answer.json()["business_task_id"] for answer in got] == [body["business_task_id"] for body in bodies]
    assert [answer.json()["source_url"] for answer in got] == [body["source_url"] for body in bodies]
    assert store.dispatch.queued()[keys.INTERACTIVE] == 200
    assert 200 // BLOCK <= calls(store) - before <= 20


def test_each_gets_its_own_answer(redis_url: str, store: Store, client: SwapClient) -> None:
    new = [wanted() for _ in range(10)]
    known = wanted()
    store.jobs.submit([make_request(**known)])
    store.jobs.submit([make_request(batch_id="done")])
    client.batches.close("done")
    taken = wanted(business_task_id=known["business_task_id"])
    twice = wanted()
    invalid = wanted() | {"source_url": "ftp://pictures.example/a.jpg"}
    bodies = [*new, known, taken, wanted(batch_id="done"), invalid, twice, dict(twice)]
    together(store)
    got = answers(redis_url, bodies)
    assert [answer.status_code for answer in got] == [202] * 10 + [202, 422, 409, 422, 202, 202]
    replayed = ["Idempotent-Replayed" in answer.headers for answer in got]
    assert replayed[:14] == [False] * 10 + [True] + [False] * 3
    assert sorted(replayed[14:]) == [False, True]  # two calls may be under way, and either one come first
    existing, conflict, closed, refused, first, again = got[10:]
    known_id = job_id("default", known["business_task_id"])
    assert existing.json()["id"] == known_id
    assert (conflict.json()["code"], conflict.json()["job_id"]) == ("idempotency_conflict", known_id)
    assert closed.json()["code"] == "batch_closed"
    assert (refused.json()["code"], refused.json()["field"]) == ("invalid_request", "source_url")
    assert first.json() == again.json()
    assert [answer.json()["business_task_id"] for answer in got[:10]] == [body["business_task_id"] for body in new]


def test_one_that_redis_stumbles_over_harms_no_other(redis_url: str, store: Store) -> None:
    bodies = [wanted() for _ in range(12)]
    store.redis.set(keys.job(job_id("default", bodies[5]["business_task_id"])), "no record")
    together(store)
    got = answers(redis_url, bodies)
    assert [answer.status_code for answer in got] == [202] * 5 + [503] + [202] * 6
    assert got[5].json()["code"] == "queue_unavailable"


def test_each_keeps_where_it_comes_from(redis_url: str, store: Store) -> None:
    bodies = [wanted() for _ in range(20)]
    traces = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 21)]
    headers = [{"traceparent": trace, "X-Request-Id": f"request-{n}"} for n, trace in enumerate(traces)]
    together(store)
    got = answers(redis_url, bodies, *headers)
    origins = [store.jobs.get(answer.json()["id"]).origin for answer in got]
    assert [origin.traceparent for origin in origins] == traces
    assert [origin.request_id for origin in origins] == [f"request-{n}" for n in range(20)]
    assert not any(origin.is_linked for origin in origins)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that only this test breaks."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def own_store(own_redis: EmbeddedRedis) -> Iterator[SwapClient]:
    with SwapClient(CoreSettings(redis_url=own_redis.url)) as client:
        yield client


def test_while_redis_is_full_each_is_told(own_redis: EmbeddedRedis, own_store: SwapClient) -> None:
    own_store.submit(make_request())  # so that Redis has the library
    own_store._store.redis.config_set("maxmemory", "1")  # noqa: SLF001 - no public way
    got = answers(own_redis.url, [wanted() for _ in range(20)])
    assert {(answer.status_code, answer.json()["code"]) for answer in got} == {(429, "queue_full")}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in got)


def test_without_redis_each_is_told(own_redis: EmbeddedRedis) -> None:
    port = str(own_redis.port)

    async def around_an_outage() -> list[httpx.Response]:
        async with gateway(own_redis.url) as http:
            assert (await http.post("/v1/jobs", json=wanted())).status_code == 202
            await asyncio.to_thread(kill_redis, own_redis)
            lost = await asyncio.gather(*(http.post("/v1/jobs", json=wanted()) for _ in range(30)))
            own_redis.start()
            assert (await http.post("/v1/jobs", json=wanted())).status_code == 202
            return list(lost)

    got = asyncio.run(around_an_outage())
    assert {(answer.status_code, answer.json()["code"]) for answer in got} == {(503, "queue_unavailable")}
    assert not any(port in answer.text for answer in got)


def test_one_that_goes_away_harms_no_other(client: SwapClient, store: Store) -> None:
    async def submit() -> list[str]:
        with GroupSubmit(client) as submits:
            together(store)
            tasks = [asyncio.create_task(submits.accept(make_request())) for _ in range(20)]
            await asyncio.sleep(0)  # all of them have asked
            for task in tasks[::2]:
                task.cancel()
            stayed = await asyncio.gather(*tasks[1::2])
            late, is_new = await submits.accept(make_request())
            assert is_new
            return [*(job.id for job, _ in stayed), late.id]

    ids = asyncio.run(submit())
    assert len(set(ids)) == 11
    assert [job.id for job in store.jobs.read_many(ids)] == ids


def test_what_is_not_on_disk_is_told_to_each_with_its_own_id(
    own_redis: EmbeddedRedis, own_store: SwapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_S", 0.3)
    own_store._store.redis.config_set("appendfsync", "no")  # noqa: SLF001 - no public way
    requests = [make_request() for _ in range(10)]

    async def submit() -> list[Any]:
        with (
            SwapClient(CoreSettings(redis_url=own_redis.url, submit_durability="fsync")) as durable,
            GroupSubmit(durable) as submits,
        ):
            return await asyncio.gather(*map(submits.accept, requests), return_exceptions=True)

    errors = asyncio.run(submit())
    for request, error in zip(requests, errors, strict=True):
        assert isinstance(error, QueueUnavailable)
        id_ = job_id("default", str(request.business_task_id))
        assert str(error).startswith(f"job {id_} was accepted, but not known to be on disk: Redis did not have it")
    assert len({id(error) for error in errors}) == len(errors)
