"""Lists of jobs over HTTP, and every change of state on a stream: what needs the index and the channel of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.builders import make_request
from support.processes import ZETA_KEY

if TYPE_CHECKING:
    from support.processes import GatewayProcess
    from swapjobs import SwapClient


def listed(gateway: GatewayProcess, **query: Any) -> list[str]:
    answer = gateway.http.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


@pytest.fixture
def gateway(common_gateway: GatewayProcess) -> GatewayProcess:
    return common_gateway


def test_jobs_are_listed_newest_first_by_filters_and_pages(gateway: GatewayProcess, client: SwapClient) -> None:
    ids = [client.submit(make_request(tenant="acme", batch_id="b" if n < 2 else None)).id for n in range(5)]
    client.submit(make_request(tenant="zeta"))
    client.cancel(ids[0])
    assert sorted(listed(gateway)) == sorted(ids)
    assert listed(gateway, state="cancelled") == [ids[0]]
    assert sorted(listed(gateway, batch_id="b")) == sorted(ids[:2])
    assert listed(gateway, created_after="2100-01-01T00:00:00Z") == []
    pages, cursor = [], None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = gateway.http.get("/v1/jobs", params=query).json()
        pages += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(pages) == sorted(ids)
    theirs = gateway.http.get("/v1/jobs", headers=gateway.headers(ZETA_KEY)).json()["jobs"]
    assert [job["tenant"] for job in theirs] == ["zeta"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "x"),
        ("error_code", "x"),
        ("created_after", "today"),
        ("limit", "0"),
        ("cursor", "x"),
        ("batch_id", "~"),
    ],
)
def test_a_wrong_filter_is_named(gateway: GatewayProcess, name: str, value: str) -> None:
    answer = gateway.http.get("/v1/jobs", params={name: value})
    assert (answer.status_code, answer.json()["field"]) == (422, name)


@pytest.mark.usefixtures("worker")
def test_a_stream_tells_each_state(gateway: GatewayProcess, client: SwapClient, vendor: Any) -> None:
    vendor.faults("latency:ms=1000")
    id_ = client.submit(make_request(tenant="acme")).id
    with gateway.http.stream("GET", f"/v1/jobs/{id_}/events") as answer:
        states = [line.removeprefix("event: ") for line in answer.iter_lines() if line.startswith("event: ")]
    assert states[-2:] == ["running", "succeeded"]
