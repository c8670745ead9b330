"""What a key allows: for every route the scope that its OpenAPI document names, and no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.builders import make_request, wait_until
from swapjobs.contract.errors import InvalidRequest, ScopeMissing
from swapjobs.contract.scope import ALL_TENANTS, MEANINGS, SCOPES, TENANT_SCOPES, Scope
from swapjobs.gateway.app import make_app
from swapjobs.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import GatewayProcess
    from swapjobs import SwapClient
    from swapjobs.store.store import Store


def operations() -> list[tuple[str, str, Scope]]:
    """Every method and path that needs a scope, with it."""
    document: dict[str, Any] = make_app(GatewaySettings()).openapi()
    return [
        (method.upper(), path, scope)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for need in operation.get("security", [])
        for scope in need["HTTPBearer"]
    ]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_route_takes_the_scope_that_it_names_and_no_other(common_gateway: GatewayProcess, store: Store) -> None:
    with_it = {scope: store.api_keys.create("acme", scopes=[scope]).key for scope in SCOPES}
    without = {
        scope: store.api_keys.create("acme", scopes=[other for other in SCOPES if other != scope]).key
        for scope in SCOPES
    }
    routes = operations()
    assert {scope for _, _, scope in routes} == {*SCOPES} - {"metrics"}
    with httpx.Client(base_url=common_gateway.url, trust_env=False, timeout=20) as http:
        for method, path, scope in routes:
            url = path.format(job_id="x", batch_id="x", endpoint_id="x", delivery_id="x", name="x", operation_id="x")
            refused = http.request(method, url, headers=bearer(without[scope]))
            assert (refused.status_code, refused.json().get("code")) == (403, "scope_missing"), (method, path)
            assert f"the scope {scope}" in refused.json()["detail"]
            assert http.request(method, url, headers=bearer(with_it[scope])).status_code not in {401, 403}, (
                method,
                path,
            )


def test_a_tenants_key_sees_its_own_metrics_and_prometheus_has_a_key_for_all(
    common_gateway: GatewayProcess, store: Store, client: SwapClient
) -> None:
    def samples(key: str) -> dict[str, float]:
        answer = httpx.get(f"{common_gateway.url}/metrics", headers=bearer(key), trust_env=False)
        families = text_string_to_metric_families(answer.raise_for_status().text)
        return {f"{one.name}{sorted(one.labels.values())}": one.value for item in families for one in item.samples}

    for tenant in ("acme", "zeta"):
        client.submit(make_request(tenant=tenant))
    own = samples(store.api_keys.create("acme").key)
    assert own.pop("swapjobs_tenant_queue_oldest_timestamp_seconds['acme']") > 1.7e9
    assert own == {"swapjobs_tenant_queue_jobs['acme']": 1}
    every = samples(store.api_keys.create("ops", scopes=["metrics"]).key)
    assert every["swapjobs_queue_jobs['interactive']"] == 2
    assert every["swapjobs_submitted_total['roop']"] == 2
    key = store.api_keys.create("acme", scopes=["submit"]).key
    assert httpx.get(f"{common_gateway.url}/metrics", headers=bearer(key), trust_env=False).status_code == 403


def test_the_operators_levers(common_gateway: GatewayProcess, store: Store, client: SwapClient) -> None:
    key = store.api_keys.create("ops", scopes=["operate"]).key
    with httpx.Client(base_url=common_gateway.url, headers=bearer(key), trust_env=False, timeout=20) as http:
        assert http.post("/v1/dispatch/pause").json()["reason"] == "manual"
        assert client.operator.status().state == "paused"
        assert http.get("/v1/dispatch").json()["state"] == "paused"
        assert http.post("/v1/dispatch/resume").json()["state"] == "running"
        assert http.post("/v1/rate/forget").json()["rate_reason"] is None
        changed = http.patch("/v1/tenants/shop", json={"rate": "5/s", "paused": True}).json()
        assert (changed["tenant"], changed["rate"], changed["paused"]) == ("shop", "5/s", True)
        assert http.patch("/v1/tenants/shop", json={"weight": 2}).json()["rate"] == "5/s"
        (listed,) = http.get("/v1/tenants").json()["tenants"]
        assert (listed["tenant"], listed["weight"], listed["queued"]) == ("shop", 2, 0)
        wrong = http.patch("/v1/tenants/shop", json={"rate": "fast"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "rate")
        unknown = http.patch("/v1/tenants/shop", json={"speed": 1})
        assert (unknown.status_code, unknown.json()["field"]) == (422, "speed")
        assert http.get("/v1/jobs").status_code == 403


def test_a_client_is_told_which_scope_it_lacks(common_gateway: GatewayProcess, store: Store) -> None:
    from swapjobs import SwapClient  # noqa: PLC0415 - beside the type of that name

    key = store.api_keys.create("acme", scopes=["read"]).key
    with SwapClient.from_gateway(common_gateway.url, key) as client, pytest.raises(ScopeMissing, match="scope submit"):
        client.submit(make_request())


def test_the_command_line_makes_keys_with_scopes(swapjobs_cli: Callable[..., tuple[int, str]], store: Store) -> None:
    status, output = swapjobs_cli("keys", "create", "--name", "prometheus", "--scope", "metrics", "--scope", "read")
    assert (status, "metrics, read" in output) == (0, True)
    assert swapjobs_cli("keys", "create")[0] == 0
    wait_until(lambda: len(store.api_keys.list()) == 2)
    assert [key.scopes for key in store.api_keys.list()] == [("metrics", "read"), TENANT_SCOPES]
    assert "metrics,read" in swapjobs_cli("keys", "list", COLUMNS="200")[1]
    status, output = swapjobs_cli("keys", "create", "--scope", "everything")
    assert (status, output.count("\n")) == (2, 1)
    assert "scopes: must be one of submit, read, act, metrics, operate" in output
    assert set(MEANINGS) == set(get_args(Scope))
    with pytest.raises(InvalidRequest):
        store.api_keys.create(scopes=[])


def test_a_key_for_all_tenants_has_levers_and_metrics_and_no_jobs(common_gateway: GatewayProcess, store: Store) -> None:
    with pytest.raises(InvalidRequest, match="jobs are one tenant's"):
        store.api_keys.create(ALL_TENANTS)
    key = store.api_keys.create(ALL_TENANTS, scopes=["read", "operate"]).key
    with httpx.Client(base_url=common_gateway.url, headers=bearer(key), trust_env=False) as http:
        assert [http.get(path).status_code for path in ("/metrics", "/v1/dispatch", "/v1/tenants")] == [200] * 3
        for path in ("/v1/jobs", "/v1/jobs/x", "/v1/batches", "/v1/webhooks/endpoints"):
            refused = http.get(path)
            assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing"), path
            assert "one tenant's" in refused.json()["detail"]


def test_the_command_line_makes_a_key_for_all_tenants(swapjobs_cli: Callable[..., tuple[int, str]]) -> None:
    status, output = swapjobs_cli("keys", "create", "--all-tenants", "--json")
    assert (status, json.loads(output)["tenant"], json.loads(output)["scopes"]) == (0, "*", ["read"])
    status, output = swapjobs_cli("keys", "create", "--all-tenants", "--scope", "submit")
    assert status == 2
    assert "may read, metrics, operate" in output
    _, output = swapjobs_cli("keys", "list")
    assert " all " in output
