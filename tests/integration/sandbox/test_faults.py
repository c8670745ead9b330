"""Each fault of the sandbox as a real HTTP client sees it, without swapping anything."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest

from swapsandbox.processes.server_process import ServerProcess, sandbox
from swapsandbox.vendor.rate_limit import most_in_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
ROOP = "/AIGCImgOpenServ/saas/tool/roop"
PICTURES = {"sourceUrl": "http://127.0.0.1/a.png", "targetUrl": "http://127.0.0.1/b.png"}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with sandbox("--no-swap") as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10, trust_env=False) as client:
        client.post("/_sandbox/reset").raise_for_status()
        client.put("/_sandbox/rate", json={"rate": None}).raise_for_status()
        yield client


def swap(client: httpx.Client, business_id: str = "job") -> httpx.Response:
    return client.post(ROOP, json={**PICTURES, "businessTaskId": business_id})


def query(client: httpx.Client, business_id: str = "job") -> httpx.Response:
    return client.post(f"{ROOP}/queryTask", json={"businessTaskId": business_id})


def arm(client: httpx.Client, *faults: object) -> None:
    client.put("/_sandbox/faults", json=faults).raise_for_status()


def stats(client: httpx.Client) -> dict[str, Any]:
    counts: dict[str, Any] = client.get("/_sandbox/stats").json()
    return counts


def wait_until(look: Callable[[], T], *, deadline_s: float = 10.0) -> T:
    until = time.monotonic() + deadline_s
    while not (seen := look()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return seen


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("http_503", 503, None),
        ("http_500", 500, None),
        ("http_401", 401, "401"),
        ("http_429", 429, "429"),
        ("http_429_bare", 429, "429"),
        ("code_429", 200, "429"),
        ("code_500", 200, "500"),
        ("code_401", 200, "401"),
    ],
)
def test_a_refusing_fault_answers_and_does_no_work(
    client: httpx.Client, fault: str, status: int, code: str | None
) -> None:
    arm(client, f"{fault}:count=1")
    refused = swap(client)
    assert refused.status_code == status
    if code is not None:
        body = refused.json()
        assert (body["code"], body["data"]) == (code, None)
    assert query(client).json()["data"] is None, "the vendor never accepted the task"
    assert swap(client).json()["data"]["status"] == 1
    counts = stats(client)
    assert (counts["billed"], counts["faults"]) == (1, {fault: 1})


def test_retry_after_comes_in_seconds_as_a_date_or_not_at_all(client: httpx.Client) -> None:
    arm(
        client,
        "http_429:count=1,retry_after=7",
        "http_429:count=1,retry_after=60,form=date",
        "http_429_bare:count=1",
        "http_503:count=1,retry_after=3",
        "http_503:count=1",
    )
    headers = [swap(client).headers.get("Retry-After") for _ in range(5)]
    date = parsedate_to_datetime(headers.pop(1))
    assert headers == ["7", None, "3", None]
    assert timedelta(seconds=50) < date - datetime.now(UTC) <= timedelta(seconds=60)


def test_half_a_json_text_looks_like_json_and_cannot_be_read(client: httpx.Client) -> None:
    arm(client, "bad_json")
    answer = swap(client)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()


def test_a_page_comes_with_status_200(client: httpx.Client) -> None:
    arm(client, "html")
    answer = swap(client)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_latency_delays_the_answer(client: httpx.Client) -> None:
    arm(client, "latency:ms=300")
    began = time.monotonic()
    assert swap(client).json()["data"]["status"] == 1
    assert time.monotonic() - began >= 0.3


def test_calls_under_way_at_once_are_counted(client: httpx.Client) -> None:
    arm(client, "latency:ms=500")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: swap(client, f"job-{at}"), range(4)))
    counts = stats(client)
    assert (counts["max_in_flight"], counts["in_flight"]) == (4, 0)


def test_a_client_that_gives_up_on_a_slow_call_pays_for_it_all_the_same(client: httpx.Client) -> None:
    arm(client, "latency:ms=300")
    with pytest.raises(httpx.ReadTimeout):
        client.post(ROOP, json={**PICTURES, "businessTaskId": "job"}, timeout=0.05)
    wait_until(lambda: stats(client)["billed"] == 1)
    assert query(client).json()["data"]["status"] == 1


def test_a_reset_before_the_work_is_seen_as_a_reset_and_costs_nothing(client: httpx.Client) -> None:
    arm(client, "reset_before:count=1")
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        swap(client)
    assert query(client).json()["data"] is None
    assert stats(client)["billed"] == 0
    assert swap(client).status_code == 200


def test_a_lost_reply_is_seen_as_a_reset_and_the_work_is_paid_and_found(client: httpx.Client) -> None:
    arm(client, "lost_reply:count=1")
    with pytest.raises(httpx.ReadError, match="Connection reset by peer"):
        swap(client)
    result = query(client).json()["data"]
    assert result["status"] == 1
    assert result["outputImageUrl"].endswith(".png")
    assert stats(client)["statuses"] == {"none": 1, "200": 1}
    swap(client)
    counts = stats(client)
    assert (counts["billed"], counts["duplicates"], counts["duplicate_ids"]) == (2, 1, ["job"])


def test_a_paid_success_can_hide_behind_any_answer(client: httpx.Client) -> None:
    arm(client, "http_503:after_work=yes,id=a", "html:after_work=yes,id=b", "hang:s=0,after_work=yes,id=c")
    assert [swap(client, "a").status_code, swap(client, "b").status_code] == [503, 200]
    with pytest.raises(httpx.ReadError):
        swap(client, "c")
    assert [query(client, business_id).json()["data"]["status"] for business_id in "abc"] == [1, 1, 1]


def test_a_hang_does_not_answer_and_ends_when_the_client_gives_up(client: httpx.Client) -> None:
    arm(client, "hang:s=600,count=1")
    with pytest.raises(httpx.ReadTimeout):
        client.post(ROOP, json={**PICTURES, "businessTaskId": "job"}, timeout=0.2)
    wait_until(lambda: stats(client)["in_flight"] == 0)
    assert query(client).json()["data"] is None
    assert [call["status"] for call in client.get("/_sandbox/calls").json()] == [None, 200]


def test_a_failure_has_status_2_no_picture_and_no_price(client: httpx.Client) -> None:
    arm(client, "status_2:msg=TARGET_NO_FACE: no face found")
    for answer in (swap(client).json(), query(client).json()):
        assert (answer["code"], answer["msg"]) == ("200", "TARGET_NO_FACE: no face found")
        assert answer["data"]["status"] == 2
        assert "outputImageUrl" not in answer["data"]
    assert stats(client)["billed"] == 0


def test_a_pending_task_becomes_final_for_the_query_only(client: httpx.Client) -> None:
    arm(client, "pending:s=0.4")
    direct = swap(client).json()
    assert (direct["code"], direct["data"]["status"]) == ("200", 0)
    assert "outputImageUrl" not in direct["data"]
    assert query(client).json()["data"]["status"] == 0
    wait_until(lambda: query(client).json()["data"]["status"] == 1)
    assert query(client).json()["data"]["taskId"] == direct["data"]["taskId"]
    assert stats(client)["billed"] == 1


def test_the_query_can_be_down_alone(client: httpx.Client) -> None:
    arm(client, "query_down:count=1")
    assert swap(client).status_code == 200
    assert query(client).status_code == 503
    assert query(client).json()["data"]["status"] == 1


def test_an_outage_can_cover_both_calls(client: httpx.Client) -> None:
    arm(client, "http_503:on=all")
    assert [swap(client).status_code, query(client).status_code] == [503, 503]


def test_calls_above_the_limit_are_refused_told_when_and_counted(client: httpx.Client) -> None:
    client.put("/_sandbox/rate", json={"rate": "10/m", "burst": 3}).raise_for_status()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: swap(client, f"job-{at}"), range(8)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert all(1 <= int(answer.headers["Retry-After"]) <= 6 for answer in refused)
    assert query(client).status_code == 429, "queries share the limit"
    counts = stats(client)
    assert (counts["over_limit"], counts["billed"]) == (6, 3)
    admitted = [call["at"] for call in client.get("/_sandbox/calls").json() if call["status"] == 200]
    assert most_in_window(admitted, 60) == 3


def test_the_limit_in_force_is_shown_and_a_wrong_one_refused(client: httpx.Client) -> None:
    assert client.put("/_sandbox/rate", json={"rate": "300/m"}).json() == {"rate": 5.0, "burst": 2}
    for wrong in ({}, {"rate": "fast"}, {"rate": 5, "burst": 0}, {"rate": 5, "burst": None}, [5]):
        assert client.put("/_sandbox/rate", json=wrong).status_code == 400
    assert client.get("/_sandbox/rate").json() == {"rate": 5.0, "burst": 2}


def test_faults_are_replaced_as_a_whole_or_not_at_all(client: httpx.Client) -> None:
    arm(client, {"name": "html", "id": ["a", "b"]}, "http_500:count=1")
    swap(client, "b")
    shown = [
        {"fault": {"name": "html", "id": ["a", "b"]}, "applied": 1},
        {"fault": {"name": "http_500", "count": 1}, "applied": 0},
    ]
    assert client.get("/_sandbox/faults").json() == shown
    for wrong in (["http_503", "nonsense"], {"name": "html"}, "html"):
        refused = client.put("/_sandbox/faults", json=wrong)
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
    assert client.put("/_sandbox/faults", content=b"{").status_code == 400
    assert client.get("/_sandbox/faults").json() == shown


def test_tasks_and_calls_are_shown_by_id_and_a_reset_forgets_them(client: httpx.Client) -> None:
    swap(client, "a")
    middle = client.get("/_sandbox/calls").json()[0]["at"]
    swap(client, "b")
    query(client, "b")
    assert [call["kind"] for call in client.get("/_sandbox/calls?id=b").json()] == ["swap", "query"]
    assert len(client.get("/_sandbox/calls", params={"since": middle}).json()) == 3
    assert client.get("/_sandbox/calls?since=yesterday").status_code == 400
    tasks = client.get("/_sandbox/tasks?id=b").json()
    assert list(tasks) == ["b"]
    assert (tasks["b"]["calls"], tasks["b"]["queries"], tasks["b"]["billed"]) == (1, 1, 1)
    client.post("/_sandbox/reset")
    assert client.get("/_sandbox/tasks").json() == {}
    assert client.get("/_sandbox/calls").json() == []
    assert stats(client)["calls"] == 0
