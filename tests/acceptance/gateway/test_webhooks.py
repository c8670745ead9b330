"""Webhooks over HTTP: endpoints and deliveries of a tenant, and nobody else's."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from support.builders import wait_until
from support.fleet import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import GatewayProcess, Program

KEYS: Final = {"acme": "acme-key-of-the-tests", "other": "other-key-of-the-tests"}
MASTER: Final = "whsec_" + base64.b64encode(b"a master secret of the tests, 32").decode()
ENDPOINTS: Final = "/v1/webhooks/endpoints"


SETTINGS: Final = {
    "SWAPJOBS_WEBHOOK_MASTER_SECRET": MASTER,
    "SWAPJOBS_WEBHOOK_ALLOW_HTTP": "true",
    "SWAPJOBS_GATEWAY_KEYS": ",".join(f"{tenant}:{key}" for tenant, key in KEYS.items()),
}


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, **SETTINGS}


@pytest.fixture
def url(common_gateways: Callable[..., GatewayProcess], redis_url: str) -> str:  # noqa: ARG001 - emptied for each test
    return common_gateways(**SETTINGS).url


def caller(url: str, tenant: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEYS[tenant]}"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)


@pytest.fixture
def acme(url: str) -> Iterator[httpx.Client]:
    with caller(url, "acme") as client:
        yield client


def test_an_endpoint_is_made_changed_rotated_and_removed(acme: httpx.Client) -> None:
    answer = acme.post(ENDPOINTS, json={"url": "https://a.example/hook", "events": ["swap.failed"]})
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{ENDPOINTS}/{made['id']}")
    assert (made["tenant"], made["events"], made["secret"][:6]) == ("acme", ["swap.failed"], "whsec_")
    path = answer.headers["location"]
    assert "secret" not in acme.get(path).json()
    assert acme.get(f"{path}/secret").json()["secret"] == made["secret"]
    assert [item["id"] for item in acme.get(ENDPOINTS).json()["endpoints"]] == [made["id"]]
    changed = acme.patch(path, json={"enabled": False, "events": []}).json()
    assert (changed["state"], changed["events"], changed["url"]) == ("disabled", [], "https://a.example/hook")
    rotated = acme.post(f"{path}/rotate", json={"overlap_s": 60}).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["rotating_until"]
    assert acme.delete(path).status_code == 204
    assert acme.get(path).json()["code"] == "endpoint_not_found"
    assert acme.get(ENDPOINTS).json() == {"endpoints": []}


def test_an_event_is_sent_looked_at_and_replayed(
    acme: httpx.Client, program: Callable[..., Program], hooks: httpx.Client
) -> None:
    program(*WORKER, "a@%h").wait_for("ready.")
    id_ = acme.post(ENDPOINTS, json={"url": f"{str(hooks.base_url).rstrip('/')}/hook"}).json()["id"]
    sent = acme.post(f"{ENDPOINTS}/{id_}/test")
    assert (sent.status_code, sent.json()["event"]) == (202, "test")
    path = f"/v1/webhooks/deliveries/{sent.json()['id']}"

    def tries(count: int) -> list[dict[str, Any]]:
        result: dict[str, Any] = acme.get(path).json()
        return result["tries"] if len(result["tries"]) >= count else []

    (first,) = wait_until(lambda: tries(1), what="a first try")
    assert first["duration_ms"] >= 0
    assert acme.post(f"{path}/replay").status_code == 202
    wait_until(lambda: tries(2), what="a second try")
    page = acme.get("/v1/webhooks/deliveries", params={"endpoint_id": id_, "event": "test"}).json()
    assert [item["id"] for item in page["deliveries"]] == [sent.json()["id"]]
    assert acme.get("/v1/webhooks/deliveries", params={"event": "swap.failed"}).json()["deliveries"] == []
    acme.patch(f"{ENDPOINTS}/{id_}", json={"enabled": False})
    wait_until(lambda: acme.get(path).json()["state"] == "undelivered", what="given up with its endpoint")
    acme.patch(f"{ENDPOINTS}/{id_}", json={"enabled": True})
    since = {"since": "2026-01-01T00:00:00Z", "endpoint_id": id_}
    later, elsewhere = {**since, "since": "2200-01-01T00:00:00Z"}, {**since, "endpoint_id": "ep_0"}
    for body, ids in ((later, []), (elsewhere, []), (since, [sent.json()["id"]])):
        answer = acme.post("/v1/webhooks/replay-since", json=body)
        assert (answer.status_code, answer.json()) == (202, {"ids": ids, "next_cursor": None})


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", ENDPOINTS, {}, "url"),
        ("POST", ENDPOINTS, {"url": "javascript:x"}, "url"),
        ("POST", ENDPOINTS, {"url": "https://a.example/", "events": ["swap.born"]}, "events"),
        ("POST", ENDPOINTS, {"url": "https://a.example/", "secret": "mine"}, "secret"),
        ("PATCH", f"{ENDPOINTS}/x", {"enabled": "perhaps"}, "enabled"),
        ("POST", f"{ENDPOINTS}/x/rotate", {"overlap_s": -1}, "overlap_s"),
        ("POST", "/v1/webhooks/replay-since", {"since": "yesterday"}, "since"),
        ("GET", "/v1/webhooks/deliveries?limit=0", None, "limit"),
        ("GET", "/v1/webhooks/deliveries?cursor=x", None, "cursor"),
        ("GET", "/v1/webhooks/deliveries?state=lost", None, "state"),
    ],
)
def test_what_is_not_right_is_named(
    method: str, path: str, body: dict[str, Any] | None, field: str, acme: httpx.Client
) -> None:
    answer = acme.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_request", field)


def test_another_tenant_finds_nothing(acme: httpx.Client, url: str) -> None:
    id_ = acme.post(ENDPOINTS, json={"url": "https://a.example/hook"}).json()["id"]
    delivery = acme.post(f"{ENDPOINTS}/{id_}/test").json()["id"]
    endpoint, log = f"{ENDPOINTS}/{id_}", f"/v1/webhooks/deliveries/{delivery}"
    with caller(url, "other") as other:
        for method, path, body in (
            *(("GET", endpoint, None), ("GET", f"{endpoint}/secret", None), ("DELETE", endpoint, None)),
            *(("PATCH", endpoint, {"enabled": False}), ("POST", f"{endpoint}/rotate", {})),
            *(("POST", f"{endpoint}/test", None), ("GET", log, None), ("POST", f"{log}/replay", None)),
        ):
            answer = other.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"].endswith("_not_found")) == (404, True), (method, path)
            assert httpx.request(method, f"{url}{path}", json=body, trust_env=False).status_code == 401
        assert other.get(ENDPOINTS).json()["endpoints"] == []
        assert other.get("/v1/webhooks/deliveries").json()["deliveries"] == []
        replayed = other.post("/v1/webhooks/replay-since", json={"since": "2026-01-01T00:00:00Z"})
        assert replayed.json()["ids"] == []
    assert acme.get(endpoint).json()["state"] == "enabled"
