"""Who may ask the gateway, and for what: keys, tenants, limits, the log."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.builders import make_request, wait_until
from support.processes import ACME_KEY, ZETA_KEY
from swapjobs.gateway.app import make_app
from swapjobs.settings import GatewaySettings
from swapjobs.store import keys
from swapjobs.store.access.api_keys import ApiKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import GatewayProcess, Program
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

OPEN = {"/", "/healthz", "/readyz", "/openapi.json", "/docs"}


def wanted() -> dict[str, Any]:
    return make_request().model_dump(mode="json", exclude_unset=True)


def operations(redis_url: str) -> list[tuple[str, str]]:
    """Every method and path that the app has, but for the door, which has its own way of asking who it is."""
    document = make_app(GatewaySettings(redis_url=redis_url)).openapi()
    result = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    return [(method, path) for method, path in result if path not in OPEN and not path.startswith("/AIGC")]


def test_every_route_needs_a_key(gateway: GatewayProcess, redis_url: str) -> None:
    routes = operations(redis_url)
    assert ("POST", "/v1/jobs") in routes
    with httpx.Client(base_url=gateway.url, trust_env=False) as http:
        for wrong in (
            "",
            "Bearer",
            "Bearer x",
            f"Basic {ACME_KEY}",
            f"Bearer {ACME_KEY}x",
            "Bearer sj_" + "a" * 12 + "_" + "b" * 43,
        ):
            for method, path in routes:
                answer = http.request(method, path, headers={"Authorization": wrong})
                assert answer.status_code == 401, (method, path, wrong, answer.text)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_tenant_touches_only_its_own_jobs(gateway: GatewayProcess, redis_url: str, client: SwapClient) -> None:
    id_ = gateway.http.post("/v1/jobs", json={**wanted(), "batch_id": "mine"}).json()["id"]
    before = client.get(id_)
    named = {"job_id": id_, "batch_id": "mine"}
    zeta = gateway.headers(ZETA_KEY)
    tried = 0
    for method, path in operations(redis_url):
        if not any(f"{{{name}}}" in path for name in named) or method == "PUT":  # which opens a batch of its own
            continue
        answer = httpx.request(method, gateway.url + path.format_map(named), headers=zeta, trust_env=False, timeout=10)
        if (method, path) == ("PUT", "/v1/batches/{batch_id}"):
            assert (answer.json()["tenant"], answer.json()["total"]) == ("zeta", 0)  # it is a batch of its own
            named["batch_id"] = "mine-too"
            gateway.http.put("/v1/batches/mine-too").raise_for_status()
            continue
        assert answer.status_code == 404, (method, path, answer.status_code, answer.text)
        assert id_ not in answer.text.replace(f"id {id_}", "")
        tried += 1
    assert tried >= 4
    assert client.get(id_) == before
    refused = gateway.http.post("/v1/jobs", json={**wanted(), "tenant": "zeta"})
    assert (refused.status_code, refused.json()["field"]) == (422, "tenant")


def test_a_tenant_does_not_learn_that_a_job_of_another_is_gone(
    gateway: GatewayProcess, redis_url: str, client: SwapClient, store: Store
) -> None:
    """A job's id is made of the tenant and the business id: whoever guesses these could ask."""
    id_ = gateway.http.post("/v1/jobs", json=wanted()).json()["id"]
    client.cancel(id_)
    store.redis.delete(keys.job(id_))
    tried = 0
    for method, path in operations(redis_url):
        if "{job_id}" in path:
            url = gateway.url + path.format(job_id=id_)
            statuses = [
                httpx.request(method, url, headers=gateway.headers(key), trust_env=False, timeout=10).status_code
                for key in (ACME_KEY, ZETA_KEY)
            ]
            assert statuses == [410, 404], (method, path)
            tried += 1
    assert tried >= 4


def test_a_key_is_revoked_also_while_redis_is_full(store: Store) -> None:
    known = ApiKeys(store.redis)
    made = known.create()
    store.redis.config_set("maxmemory", store.redis.info("memory")["used_memory"] // 2)
    try:
        assert known.revoke(made.id).revoked_at is not None
    finally:
        store.redis.config_set("maxmemory", 0)
    assert known.find(made.key) is None


def test_one_business_id_is_two_jobs_for_two_tenants(gateway: GatewayProcess) -> None:
    body = wanted()
    ours = gateway.http.post("/v1/jobs", json=body).json()
    theirs = gateway.http.post("/v1/jobs", json=body, headers=gateway.headers(ZETA_KEY)).json()
    assert ours["id"] != theirs["id"]
    assert (ours["tenant"], theirs["tenant"]) == ("acme", "zeta")


def test_a_key_from_the_command_line_works_until_it_is_revoked(
    gateway: GatewayProcess, swapjobs_cli: Callable[..., tuple[int, str]], store: Store
) -> None:
    status, output = swapjobs_cli("keys", "create", "--tenant", "shop", "--name", "web", "--json")
    assert status == 0, output
    made = json.loads(output)
    headers = gateway.headers(made["key"])
    assert gateway.http.post("/v1/jobs", json=wanted(), headers=headers).json()["tenant"] == "shop"
    assert made["key"].startswith(f"sj_{made['id']}_")
    stored = str(store.redis.hgetall(keys.gateway_keys()))
    assert made["key"] not in stored
    assert made["key"].removeprefix(f"sj_{made['id']}_") not in stored  # which may hold a _ itself
    listed = json.loads(swapjobs_cli("keys", "list", "--json")[1])["keys"]
    assert [(key["id"], key["tenant"], key["name"]) for key in listed] == [(made["id"], "shop", "web")]
    assert swapjobs_cli("keys", "revoke", made["id"])[0] == 0
    wait_until(
        lambda: gateway.http.get("/v1/jobs/x", headers=headers).status_code == 401,
        deadline_s=5,
        what="the key is refused",
    )
    assert swapjobs_cli("keys", "revoke", "nosuchkey")[0] == 3
    assert made["key"] not in gateway.program.output


def test_only_the_whole_key_is_known(store: Store) -> None:
    api_keys = ApiKeys(store.redis)
    made = api_keys.create("shop")
    assert made.key not in repr(made)
    result = api_keys.find(made.key)
    assert result is not None
    assert result.tenant == "shop"
    assert api_keys.find(made.key[:-1] + ("A" if made.key[-1] != "A" else "B")) is None
    assert api_keys.find(f"sj_{made.id}_{'x' * 43}") is None
    assert api_keys.find(made.id) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_a_key_it_listens_on_loopback_only(program: Callable[..., Program], host: str) -> None:
    refused = program("swapjobs", "gateway", "--host", host, "--port", "0")
    assert refused.process.wait(20) == 2
    refused.__exit__()
    assert "swapjobs keys create" in refused.output
    assert "Traceback" not in refused.output


def test_without_a_key_it_serves_this_machine_until_a_key_is_made(
    start_gateway: Callable[..., GatewayProcess], store: Store
) -> None:
    gateway = start_gateway()
    assert gateway.http.post("/v1/jobs", json=wanted()).json()["tenant"] == "default"
    for elsewhere in (
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
    ):
        answer = gateway.http.post("/v1/jobs", json=wanted(), headers=elsewhere)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), elsewhere
    made = ApiKeys(store.redis).create()
    wait_until(lambda: gateway.http.get("/v1/jobs/x").status_code == 401, deadline_s=5, what="a key is needed")
    ApiKeys(store.redis).revoke(made.id)
    with_key = gateway.headers(made.key)
    wait_until(lambda: gateway.http.get("/v1/jobs/x", headers=with_key).status_code == 401, what="the key is refused")
    assert gateway.http.get("/v1/jobs/x").status_code == 401, "the door stays closed when the last key is revoked"
    again = start_gateway()
    assert again.http.get("/v1/jobs/x").status_code == 401


def test_another_machine_is_not_served_where_redis_lost_all_keys(redis_url: str) -> None:
    """The command line looks for keys when the gateway begins to listen, and then no more."""
    app = make_app(GatewaySettings(redis_url=redis_url))

    async def ask(address: str) -> int:
        way = httpx.ASGITransport(app, client=(address, 50_000))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=way) as caller:
            return (await caller.get("http://localhost/v1/jobs/x")).status_code

    assert asyncio.run(ask("203.0.113.7")) == 403
    assert asyncio.run(ask("127.0.0.1")) == 404


def test_a_gateway_that_ends_as_soon_as_it_begins_ends(redis_url: str) -> None:
    """Its connection for waits is just being made then: being told to stop must not get lost."""
    app = make_app(GatewaySettings(redis_url=redis_url))

    async def begin_and_end(turns: int) -> None:
        async with app.router.lifespan_context(app):
            for _ in range(turns):
                await asyncio.sleep(0)

    for turns in range(100):
        asyncio.run(asyncio.wait_for(begin_and_end(turns), 10))


def test_each_key_has_a_rate_of_its_own(start_gateway: Callable[..., GatewayProcess]) -> None:
    both = f"acme:{ACME_KEY},zeta:{ZETA_KEY}"
    gateway = start_gateway(SWAPJOBS_GATEWAY_KEYS=both, SWAPJOBS_GATEWAY_KEY_RATE="5/h")
    answers = [gateway.http.get("/v1/jobs/x") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [404] * 5 + [429]
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=5;w=3600'
    assert answers[0].headers["RateLimit"].startswith('"key";r=4;t=')
    assert answers[5].json()["code"] == "too_many_requests"
    assert int(answers[5].headers["Retry-After"]) > 0
    assert gateway.http.get("/v1/jobs/x", headers=gateway.headers(ZETA_KEY)).status_code == 404


def test_the_log_has_who_and_what_and_no_secret(gateway: GatewayProcess) -> None:
    body = {**wanted(), "source_url": "https://pictures.example/a.jpg?X-Amz-Signature=hidden1"}
    answer = gateway.http.post("/v1/jobs?token=hidden2", json=body, headers={"X-Request-Id": "my-request.1"})
    assert (answer.status_code, answer.json()["field"]) == (
        422,
        "token",
    )  # it may be a filter's misspelt name
    assert answer.headers["X-Request-Id"] == "my-request.1"
    gateway.http.get("/v1/jobs/x", headers={"Authorization": "Bearer hidden3", "X-Request-Id": 'a"b'})
    wait_until(lambda: len(gateway.logged()) == 2)
    first, second = gateway.logged()
    assert {name: first[name] for name in ("method", "path", "status", "tenant", "key", "request_id")} == {
        "method": "POST",
        "path": "/v1/jobs",
        "status": 422,
        "tenant": "acme",
        "key": "settings-1",
        "request_id": "my-request.1",
    }
    assert first["ms"] > 0
    assert (second["status"], "tenant" in second) == (401, False)
    assert second["request_id"] not in {"", 'a"b'}
    assert "hidden" not in gateway.program.output
    assert ACME_KEY not in gateway.program.output


def test_browsers_are_told_to_be_careful_and_other_origins_get_nothing(
    start_gateway: Callable[..., GatewayProcess], gateway: GatewayProcess
) -> None:
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        gateway.http.get("/v1/jobs/x"),
        gateway.http.get("/nothing"),
        gateway.http.options("/v1/jobs", headers=preflight),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    allowing = start_gateway(
        SWAPJOBS_GATEWAY_KEYS=f"acme:{ACME_KEY}", SWAPJOBS_GATEWAY_CORS_ORIGINS="https://app.example"
    )
    allowed = allowing.http.options("/v1/jobs", headers=preflight)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    other = allowing.http.get("/v1/jobs/x", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
