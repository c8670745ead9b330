"""The HTTP gateway: jobs as a web product sees them, with the real process, Redis and worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request, wait_until
from support.processes import ACME_KEY
from swapjobs.contract.errors import QueueFull
from swapjobs.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from support.processes import GatewayProcess, Program
    from swapjobs import SwapClient
    from swapjobs.store.store import Store


@pytest.fixture
def gateway(common_gateway: GatewayProcess) -> GatewayProcess:
    return common_gateway


def wanted(**fields: Any) -> dict[str, Any]:
    return make_request(**fields).model_dump(mode="json", exclude_unset=True)


def assert_problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    output: dict[str, Any] = answer.json()
    assert (output["status"], output["code"], output.get("field")) == (status, code, field), output
    assert output["detail"]
    return output


@pytest.mark.usefixtures("worker")
def test_a_job_from_submit_to_picture(gateway: GatewayProcess) -> None:
    answer = gateway.http.post("/v1/jobs", json=wanted(), headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["state"], job["tenant"]) == ("succeeded", "acme")
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert "Retry-After" not in answer.headers
    again = gateway.http.get(answer.headers["Location"])
    assert again.json() == job


def test_accepted_is_told_at_once_with_where_and_when_to_ask(gateway: GatewayProcess, client: SwapClient) -> None:
    answer = gateway.http.post("/v1/jobs", json=wanted())
    assert answer.status_code == 202
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get(answer.json()["id"]).model_dump(mode="json") == answer.json()


def test_the_same_key_is_the_same_job_and_another_request_is_refused(gateway: GatewayProcess) -> None:
    body = wanted()
    del body["business_task_id"]
    first = gateway.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "order-1"})
    quoted = gateway.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": '"order-1"'})
    named = gateway.http.post("/v1/jobs", json={**body, "business_task_id": "order-1"})
    assert first.json() == quoted.json() == named.json()
    assert first.json()["business_task_id"] == "order-1"
    other = gateway.http.post("/v1/jobs", json=wanted(), headers={"Idempotency-Key": "order-1"})
    assert_problem(other, 422, "invalid_request", "Idempotency-Key")  # the body names another id
    other_body = {**body, "target_url": "https://pictures.example/other.jpg"}
    assert_problem(
        gateway.http.post("/v1/jobs", json=other_body, headers={"Idempotency-Key": "order-1"}),
        422,
        "idempotency_conflict",
    )


@pytest.mark.parametrize("key", ["", "x" * 256, '""', "a\tb"])
def test_a_key_that_is_no_business_id_is_refused(gateway: GatewayProcess, key: str) -> None:
    answer = gateway.http.post("/v1/jobs", json=wanted(business_task_id=None), headers={"Idempotency-Key": key})
    assert_problem(answer, 422, "invalid_request", "Idempotency-Key")


def test_the_products_own_id_finds_its_job_and_nobody_elses(gateway: GatewayProcess, client: SwapClient) -> None:
    """Also one that looks like the id of another tenant's job."""
    own = gateway.http.post("/v1/jobs", json=wanted(business_task_id="order 4711/~")).json()
    page = gateway.http.get("/v1/jobs", params={"business_task_id": "order 4711/~"}).json()
    assert page == {"jobs": [own], "next_cursor": None}
    theirs = client.submit(make_request(tenant="zeta"))
    assert_problem(gateway.http.get(f"/v1/jobs/{theirs.id}"), 404, "job_not_found")
    assert_problem(gateway.http.get(f"/v1/jobs/{theirs.id}/attempts"), 404, "job_not_found")
    mine = gateway.http.post("/v1/jobs", json=wanted(business_task_id=theirs.id)).json()
    assert gateway.http.get(f"/v1/jobs/{theirs.id}").json() == mine
    assert gateway.http.post(f"/v1/jobs/{theirs.id}/cancel").json()["id"] == mine["id"]
    assert client.get(theirs.id).state == "queued"


def test_a_finished_job_submitted_again_is_told_with_200(gateway: GatewayProcess, client: SwapClient) -> None:
    body = wanted()
    client.cancel(gateway.http.post("/v1/jobs", json=body).json()["id"])
    again = gateway.http.post("/v1/jobs", json=body)
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")


def test_cancel_and_retry(gateway: GatewayProcess) -> None:
    id_ = gateway.http.post("/v1/jobs", json=wanted()).json()["id"]
    assert_problem(gateway.http.post(f"/v1/jobs/{id_}/retry"), 409, "not_retryable")
    assert gateway.http.post(f"/v1/jobs/{id_}/cancel").json()["state"] == "cancelled"
    assert gateway.http.post(f"/v1/jobs/{id_}/cancel").status_code == 200
    assert gateway.http.post(f"/v1/jobs/{id_}/retry").json()["state"] == "queued"


def test_unknown_and_gone_are_told_apart(gateway: GatewayProcess, client: SwapClient, store: Store) -> None:
    assert_problem(gateway.http.get("/v1/jobs/nosuchjob"), 404, "job_not_found")
    id_ = gateway.http.post("/v1/jobs", json=wanted()).json()["id"]
    client.cancel(id_)
    store.redis.delete(keys.job(id_))
    for answer in (gateway.http.get(f"/v1/jobs/{id_}"), gateway.http.get(f"/v1/jobs/{id_}/events")):
        assert_problem(answer, 410, "job_gone")


JSON = {"Content-Type": "application/json"}


URLS = b'"source_url": "https://a.example/1", "target_url": "https://a.example/2"'
BAD_BODIES: tuple[tuple[bytes, dict[str, str], int, str], ...] = (
    (b"{", JSON, 400, "malformed_request"),
    (b"", JSON, 400, "malformed_request"),
    (b"[]", JSON, 400, "malformed_request"),
    (b"\xff\xfe", JSON, 400, "malformed_request"),
    (b'{"a": "\\ud800"}', JSON, 400, "malformed_request"),
    (b'{"a": NaN}', JSON, 400, "malformed_request"),
    (b'{"metadata": ' + b"[" * 100_000, JSON, 400, "malformed_request"),
    (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    (b"{}", {}, 415, "unsupported_media_type"),
    (b"{}", JSON, 422, "invalid_request"),
    (b"{" + URLS + b', "colour": 1}', JSON, 422, "invalid_request"),
    (b'{"source_url": 7, "target_url": {}}', JSON, 422, "invalid_request"),
    (b"{" + URLS + b', "metadata": {"a": 1e999}}', JSON, 422, "invalid_request"),
    (b"{" + URLS + b', "metadata": {"a": 1' + b"0" * 5000 + b"}}", JSON, 400, "malformed_request"),
    (b" " * 1_048_577, JSON, 413, "body_too_large"),
)


def test_bad_bodies_are_problems_and_leave_nothing_behind(gateway: GatewayProcess, store: Store) -> None:
    for body, headers, status, code in BAD_BODIES:
        answer = gateway.http.post("/v1/jobs", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body[:100], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    without_length = gateway.http.post("/v1/jobs", content=(b" " * 100_000 for _ in range(11)), headers=JSON)
    assert_problem(without_length, 413, "body_too_large")
    assert "Traceback" not in gateway.program.output
    assert not store.redis.keys(keys.job("*"))


def test_what_is_not_there(gateway: GatewayProcess) -> None:
    assert_problem(gateway.http.get("/v1/nothing"), 404, "not_found")
    refused = gateway.http.put("/v1/jobs")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET, POST"
    assert_problem(gateway.http.get("/v1/jobs", params={"limit": "0"}), 422, "invalid_request", "limit")
    for wait in ("wait=61", "wait=x", "wait"):
        answer = gateway.http.post("/v1/jobs", json=wanted(), headers={"Prefer": wait})
        assert_problem(answer, 400, "malformed_request", "Prefer")
    assert "Preference-Applied" not in gateway.http.post("/v1/jobs", json=wanted(), headers={"Prefer": "x"}).headers


def test_a_long_line_takes_no_new_jobs(start_gateway: Callable[..., GatewayProcess]) -> None:
    gateway = start_gateway(SWAPJOBS_GATEWAY_MAX_QUEUED="3", SWAPJOBS_GATEWAY_KEYS=f"acme:{ACME_KEY}")
    answers: list[httpx.Response] = []

    def is_refused() -> bool:  # the length is believed for a second
        answers.append(gateway.http.post("/v1/jobs", json=wanted()))
        return answers[-1].status_code == 429

    wait_until(is_refused, what="a long line is seen")
    assert_problem(answers[-1], 429, "too_many_requests")
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert_problem(gateway.http.get("/readyz"), 429, "too_many_requests")
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert len(accepted) >= 3
    for id_ in accepted:
        gateway.http.post(f"/v1/jobs/{id_}/cancel").raise_for_status()
    wait_until(lambda: gateway.http.post("/v1/jobs", json=wanted()).status_code == 202, what="the line is short again")


def test_a_full_redis_is_told_as_429(gateway: GatewayProcess, client: SwapClient, store: Store) -> None:
    try:
        store.redis.config_set("maxmemory", 1_000_000)

        def is_full() -> bool:  # looked at when a worker would be: now and then
            try:
                client.submit(make_request())
            except QueueFull:
                return True
            return False

        wait_until(is_full, what="Redis is full")
        answer = gateway.http.post("/v1/jobs", json=wanted())
        assert_problem(answer, 429, "queue_full")
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        store.redis.config_set("maxmemory", 0)


def test_operation_routes_need_no_key_but_for_the_numbers(gateway: GatewayProcess) -> None:
    nobody = {"Authorization": ""}
    assert gateway.http.get("/healthz", headers=nobody).json() == {"status": "ok"}
    assert gateway.http.get("/readyz", headers=nobody).json() == {"status": "ok"}
    assert_problem(gateway.http.get("/metrics", headers=nobody), 401, "access_denied")
    assert 'swapjobs_tenant_queue_jobs{tenant="acme"} 0.0' in gateway.http.get("/metrics").text


def test_nothing_can_be_listened_on_twice(gateway: GatewayProcess, program: Callable[..., Program]) -> None:
    port = gateway.url.rpartition(":")[2]
    second = program("swapjobs", "gateway", "--port", port)
    assert second.process.wait(20) == 2
    second.__exit__()
    assert "choose another --port" in second.output
    assert "Traceback" not in second.output


def test_a_waiting_submit_is_told_that_nobody_works(gateway: GatewayProcess) -> None:
    assert gateway.http.get("/readyz").json() == {"status": "ok"}
    answer = gateway.http.post("/v1/jobs", json=wanted(), headers={"Prefer": "wait=1"})
    assert answer.status_code == 202
    assert answer.headers["Swapjobs-No-Worker"] == "swaps"
    assert gateway.http.get("/readyz").json() == {"status": "ok", "no_worker": "swaps"}
    assert gateway.http.get("/v1/rate").json()["rate_reason"] is None


def test_a_retry_over_http_may_bring_fresh_urls(gateway: GatewayProcess) -> None:
    """The body is that of a retry: without one, or with URLs of the same pictures."""
    dead = "?Signature=a&AWSAccessKeyId=A&Expires=1000000000"
    body = wanted()
    body |= {name: body[name] + dead for name in ("source_url", "target_url")}
    job = gateway.http.post("/v1/jobs", json=body).json()
    gateway.http.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
    other = gateway.http.post(f"/v1/jobs/{job['id']}/retry", json={"source_url": "https://pictures.example/other.jpg"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    fresh = {name: body[name].replace("1000000000", "4000000000") for name in ("source_url", "target_url")}
    retried = gateway.http.post(f"/v1/jobs/{job['id']}/retry", json=fresh).json()
    assert (retried["state"], retried["source_url"]) == ("queued", fresh["source_url"])
