"""Receivers as they are: dead, hanging, slow, alive beside those; and a webhook worker that is killed in the middle."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from support.builders import claim, submit, wait_until
from support.fleet import WORKER
from support.web_server import always, answer, serving
from swapjobs.contract.lifecycle import Event
from swapjobs.settings import WorkerSettings
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import Program
    from support.web_server import Peer, WebServer
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

MASTER = "whsec_" + "A" * 43 + "="
SLOTS = 8


@pytest.fixture
def settings(redis_url: str) -> WorkerSettings:
    return WorkerSettings(redis_url=redis_url, webhook_master_secret=MASTER, webhook_concurrency=SLOTS)


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    return {
        "SWAPJOBS_REDIS_URL": redis_url,
        "SWAPJOBS_WEBHOOK_MASTER_SECRET": MASTER,
        "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "SWAPJOBS_WEBHOOK_CONCURRENCY": str(SLOTS),
        "SWAPJOBS_WEBHOOK_TIMEOUT_S": "3",
    }


@pytest.fixture
def webhook_worker(program: Callable[..., Program]) -> Callable[[str], Program]:
    """Start a webhook worker under a name."""

    def start(name: str) -> Program:
        return program(*WORKER, name, "-Q", "webhooks", "-c", str(SLOTS)).wait_for("ready.", deadline_s=60)

    return start


@pytest.fixture
def live() -> Iterator[WebServer]:
    with serving(always(answer(status="204 No Content"))) as server:
        yield server


def hang(peer: Peer) -> None:
    peer.request()
    peer.hang()


@pytest.fixture(params=["refusing", "hanging"])
def dead(request: pytest.FixtureRequest) -> Iterator[str]:
    """A URL at which nobody answers."""
    if request.param == "hanging":
        with serving(hang) as server:
            yield server.url
    else:
        with socket.socket() as taken:  # bound, so that nobody else gets the port; but it does not listen
            taken.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def tried(store: Store, endpoint_id: str) -> int:
    """Return how many of an endpoint's pending deliveries were tried at least once."""
    pending = [keys.delivery(str(id_)) for id_ in store.redis.smembers(keys.undelivered(endpoint_id))]
    texts: Any = store.redis.mget(pending) if pending else []
    return sum("delivery_claims" in record.fields_of(text) for text in texts if text)


def test_ten_thousand_events_to_a_dead_receiver_hold_up_nobody_elses(
    store: Store, client: SwapClient, dead: str, live: WebServer, webhook_worker: Callable[[str], Program]
) -> None:
    lost, fine = client.webhooks.add(dead), client.webhooks.add(live.url, tenant="other")
    for _ in range(10_000):
        store.endpoints.send_test(lost.id, "default", "{}")
    webhook_worker("one")
    wait_until(lambda: tried(store, lost.id) > 0, deadline_s=60, what="a try at the dead one")
    before = tried(store, lost.id)
    for _ in range(100):
        store.endpoints.send_test(fine.id, "other", "{}")
    wait_until(lambda: store.redis.scard(keys.undelivered(fine.id)) == 0, deadline_s=120, what="all delivered")
    assert len(live.requests) == 100
    # In a first-come line all 10,000 would have been tried before. The breaker opens for one probe at a time.
    assert before + tried(store, lost.id) < 60
    assert store.redis.scard(keys.undelivered(lost.id)) == 10_000
    host = store.redis.hgetall(keys.host(dead.removeprefix("http://")))
    assert int(host["in_flight"]) + int(host["messages"]) <= 0.75 * SLOTS


def test_a_killed_workers_share_of_a_host_returns_and_the_event_comes_again(
    store: Store, client: SwapClient, webhook_worker: Callable[[str], Program]
) -> None:
    def script(peer: Peer) -> None:
        if peer.request() is None:
            return
        if len(peer.server.requests) <= 2:
            peer.hang()
        peer.send(answer())

    with serving(script) as server:
        endpoint = client.webhooks.add(server.url, events=["swap.succeeded"])
        first = webhook_worker("one")
        store.attempts.record_outcome(claim(store, submit(store)), Event.SUCCEED, patch={})
        store.attempts.record_outcome(claim(store, submit(store)), Event.SUCCEED, patch={})
        wait_until(lambda: len(server.requests) == 2, what="two tries under way")
        host = keys.host(server.url.removeprefix("http://"))
        assert store.redis.hget(host, "in_flight") == "2"
        first.end(signal.SIGKILL)
        webhook_worker("two")
        wait_until(lambda: store.redis.scard(keys.undelivered(endpoint.id)) == 0, deadline_s=90, what="delivered")
        assert store.redis.hmget(host, "in_flight", "messages") == ["0", "0"]
    ids = [seen.headers["webhook-id"] for seen in server.requests]
    assert len(ids) == 4
    assert sorted(ids[:2]) == sorted(ids[2:])
    assert {seen.body for seen in server.requests[:2]} == {seen.body for seen in server.requests[2:]}


def test_an_endpoint_from_its_registration_to_its_removal(
    client: SwapClient,
    live: WebServer,
    webhook_worker: Callable[[str], Program],
    swapjobs_cli: Callable[..., tuple[int, str]],
) -> None:
    def run(*arguments: str) -> Any:
        status, output = swapjobs_cli("webhooks", *arguments, "--json")
        assert status == 0, output
        return json.loads(output)

    webhook_worker("one")
    added = run("add", live.url, "--event", "swap.failed")
    sent = run("test", added["id"])
    assert (sent["state"], sent["event"], sent["tries"][0]["status"]) == ("delivered", "test", 204)
    Webhook(added["secret"]).verify(live.requests[0].body, live.requests[0].headers)
    rotated = run("rotate", added["id"], "--overlap-s", "3600")
    assert rotated["secret"] != added["secret"]
    run("replay", sent["id"])
    wait_until(lambda: len(live.requests) == 2, what="the replay")
    for secret in (added["secret"], rotated["secret"]):
        Webhook(secret).verify(live.requests[1].body, live.requests[1].headers)
    assert live.requests[0].headers["webhook-id"] == live.requests[1].headers["webhook-id"]
    assert live.requests[0].body == live.requests[1].body
    wait_until(lambda: client.webhooks.delivery(sent["id"]).state == "delivered")
    run("rotate", added["id"], "--overlap-s", "0")
    newest = run("test", added["id"])
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(rotated["secret"]).verify(live.requests[2].body, live.requests[2].headers)
    assert [item["id"] for item in run("list")["deliveries"]] == [newest["id"], sent["id"]]
    assert [item["number"] for item in run("show", sent["id"])["tries"]] == [1, 1]
    assert run("endpoints")["endpoints"][0]["version"] == 3
    assert run("update", added["id"], "--disable")["state"] == "disabled"
    assert run("replay-since", "2026-01-01") == {"replayed": 0}
    run("remove", added["id"])
    status, output = swapjobs_cli("webhooks", "remove", added["id"])
    assert (status, "endpoint_not_found" in output) == (3, True)


def test_the_command_line_says_what_is_not_there_and_what_is_not_right(
    client: SwapClient, swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        return swapjobs_cli("webhooks", *arguments)

    assert run("list", "--tenant", "shop") == (0, "no delivery of tenant shop fits\n")
    assert run("endpoints", "--tenant", "shop") == (0, "tenant shop has no endpoints\n")
    assert json.loads(run("list", "--json")[1]) == {"deliveries": [], "next_cursor": None}
    for arguments in (("list", "--state", "sent"), ("replay-since", "2h", "--state", "sent"), ("replay-since", "soon")):
        status, output = run(*arguments)
        assert (status, output.count("\n")) == (2, 1), output
    endpoint = client.webhooks.add("https://hooks.example/in")
    sent = client.webhooks.test(endpoint.id)
    began = f"{sent.created_at:%Y-%m-%d %H:%M:%S}"
    assert run("list")[1].split() == [*began.split(), "pending", "test", sent.id]
    assert run("replay-since", "15m") == (0, "0 replayed\n")
    assert run("replay-since", "15m", "--state", "pending", "--json") == (0, '{"replayed": 1}\n')
    status, output = run("test", endpoint.id, "--timeout", "0.5")
    assert (status, "is a worker running?" in output) == (1, True)
