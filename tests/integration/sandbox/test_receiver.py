"""The webhook receiver: what it verifies, counts and refuses, and how it fails on demand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import standardwebhooks

from swapsandbox.processes.server_process import ServerFailed, ServerProcess, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OLD_SECRET = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
FOREIGN_SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
BODY = json.dumps({"type": "swap.succeeded", "timestamp": "2026-11-22T16:00:00Z", "data": {"id": "job-1"}})


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with receiver("--secret", SECRET, "--secret", OLD_SECRET) as running:
        yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10, trust_env=False) as client:
        client.post("/_receiver/reset").raise_for_status()
        yield client


def deliver(
    client: httpx.Client,
    event_id: str = "msg_1",
    *,
    secret: str = SECRET,
    signed: str = BODY,
    sent: str = BODY,
    at: datetime | None = None,
    path: str = "/hooks/swap",
) -> httpx.Response:
    moment = at or datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign(event_id, moment, signed),
    }
    return client.post(path, content=sent, headers=headers)


def events(client: httpx.Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get("/_receiver/events").json()
    return rows


def test_a_signed_delivery_is_verified_and_recorded(client: httpx.Client) -> None:
    assert deliver(client).status_code == 200
    (event,) = events(client)
    assert len(event.pop("times")) == 1
    assert event == {
        "id": "msg_1",
        "path": "/hooks/swap",
        "type": "swap.succeeded",
        "job_id": "job-1",
        "verified": True,
        "problem": None,
        "tries": 1,
        "answers": [200],
        "traceparent": None,
    }


def test_during_a_rotation_either_secret_is_right(client: httpx.Client) -> None:
    assert deliver(client, secret=OLD_SECRET).status_code == 200
    assert events(client)[0]["verified"]


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"secret": FOREIGN_SECRET}, "No matching signature found"),
        ({"sent": BODY.replace("job-1", "job-2")}, "No matching signature found"),
        ({"at": datetime.now(UTC) - timedelta(minutes=10)}, "Message timestamp too old"),
        ({"at": datetime.now(UTC) + timedelta(days=1)}, "Message timestamp too new"),
    ],
)
def test_a_wrong_delivery_is_refused_and_recorded_as_unverified(
    client: httpx.Client, how: dict[str, Any], problem: str
) -> None:
    assert deliver(client, **how).status_code == 401
    (event,) = events(client)
    assert (event["verified"], event["problem"], event["answers"]) == (False, problem, [401])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "a", "webhook-timestamp": "soon", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "a", "webhook-timestamp": "{now}", "webhook-signature": "nonsense"},
        {"webhook-id": "a", "webhook-timestamp": "{now}", "webhook-signature": "v1,A"},
    ],
)
def test_malformed_headers_are_refused_and_break_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    sent = {key: value.format(now=now) for key, value in headers.items()}
    assert client.post("/hook", content=b"\xff not json", headers=sent).status_code == 401
    assert events(client)[0]["type"] is None


def test_the_library_signs_rightly_only_times_in_utc() -> None:
    """The library relabels any aware time as UTC instead of converting it; our worker must sign in UTC."""
    moment = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    check = standardwebhooks.Webhook(SECRET)
    local = moment.astimezone(timezone(timedelta(hours=8)))
    assert local == moment
    assert check.sign("msg_1", local, BODY) != check.sign("msg_1", moment, BODY)


def test_the_first_tries_of_each_event_follow_the_plan(client: httpx.Client) -> None:
    client.put("/_receiver/plan", json={"statuses": [500, 503]}).raise_for_status()
    assert [deliver(client, "msg_1").status_code for _ in range(3)] == [500, 503, 200]
    assert deliver(client, "msg_2").status_code == 500
    first, second = events(client)
    assert (first["id"], first["tries"], first["answers"]) == ("msg_1", 3, [500, 503, 200])
    assert len(first["times"]) == 3
    assert (second["id"], second["tries"]) == ("msg_2", 1)
    assert first["verified"], "a failing receiver still checks"


def test_it_can_hang_and_the_try_counts(client: httpx.Client) -> None:
    client.put("/_receiver/plan", json={"statuses": ["hang"], "hang_s": 0.05}).raise_for_status()
    with pytest.raises(httpx.ReadError):
        deliver(client)
    assert deliver(client).status_code == 200
    assert events(client)[0]["answers"] == ["hang", 200]


@pytest.mark.parametrize("plan", [{"statuses": [99]}, {"statuses": ["wait"]}, {"hang_s": 0}, {"status": [500]}, []])
def test_a_wrong_plan_is_refused(client: httpx.Client, plan: object) -> None:
    assert client.put("/_receiver/plan", json=plan).status_code == 400
    assert deliver(client).status_code == 200


def test_without_a_secret_nothing_is_verified_and_nothing_refused() -> None:
    with receiver() as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        assert deliver(client).status_code == 200
        (event,) = events(client)
        assert (event["verified"], event["problem"]) == (False, "no secret configured")


def test_a_secret_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ServerFailed, match="must be whsec_ and base64") as caught:
        receiver("--secret", "whsec_!").start()
    assert "whsec_!" not in str(caught.value)
