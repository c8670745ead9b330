"""A product's own Celery app: swapjobs.swap is a task like any other. The product's worker is a process of its own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import redis
from celery import Celery, chain, chord, group
from celery._state import _set_current_app, _tls
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from support.builders import wait_until
from support.paths import ROOT
from support.product import app, gather, keep, leave, told_of_failure, url_of, use
from swapjobs import InvalidRequest, JobState, SwapClient
from swapjobs.celery import SwapFailed, swap
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

URLS = {"source_url": "https://pictures.example/s.jpg", "target_url": "https://pictures.example/t.jpg"}


@pytest.fixture
def product(redis_url: str) -> Iterator[Celery]:
    """The app in the process that sends; in its worker it is the same."""
    use(redis_url)
    before = _tls.current_app
    app.set_current()
    yield app
    leave()
    _set_current_app(before)


@pytest.fixture
def product_worker(program: Callable[..., Program], redis_url: str) -> Program:
    """The product's worker, on its default queue."""
    settings = {"PRODUCT_REDIS_URL": redis_url, "PYTHONPATH": str(ROOT / "tests")}
    command = (
        "celery",
        "-A",
        "support.product",
        "worker",
        "-l",
        "info",
        "-c",
        "2",
        "-n",
        "product@%h",
        "-P",
        "threads",
    )
    return program(*command, **settings).wait_for("ready.")


def noted(store: Store, name: str) -> list[str]:
    return [str(value) for value in store.redis.lrange(f"product:{name}", 0, -1)]


@pytest.mark.usefixtures("worker", "product")
def test_its_result_is_read_as_any_tasks(client: SwapClient, store: Store) -> None:
    result = swap.delay(**URLS, business_task_id="order-1", metadata={"cart": 7})
    job = result.get(timeout=30)
    assert (job["state"], job["business_task_id"], job["metadata"]) == ("succeeded", "order-1", {"cart": 7})
    assert (result.state, AsyncResult(result.id).successful()) == ("SUCCESS", True)
    assert client.get(result.id) == client.get("order-1")
    assert client.get("order-1").output_url == job["output_url"]
    assert 0 < store.redis.ttl(f"celery-task-meta-{result.id}") <= 86_400
    assert store.redis.exists(keys.arriving(), keys.SWAPS_QUEUE) == 0


@pytest.mark.usefixtures("worker", "product", "product_worker")
def test_links_chains_groups_and_chords_go_on(store: Store) -> None:
    one = swap.s(**URLS, business_task_id="linked").on_error(told_of_failure.s())
    linked = one.apply_async(link=[keep.s(), keep.s("kept-too")])
    assert linked.get(timeout=30)["state"] == "succeeded"
    # the URL that is missing comes from the task before
    in_the_middle = chain(url_of.s("face"), swap.s(target_url=URLS["target_url"]), keep.s()).apply_async()
    assert in_the_middle.get(timeout=30).startswith("http")
    assert in_the_middle.parent.get()["source_url"] == "https://pictures.example/face.jpg"
    both = group(swap.s(**URLS, business_task_id=f"grouped-{number}") for number in range(2)).apply_async()
    assert [job["business_task_id"] for job in both.get(timeout=30)] == ["grouped-0", "grouped-1"]
    hundred = chord([swap.s(**URLS, business_task_id=f"part-{number}") for number in range(100)], gather.s())
    assert hundred.apply_async().get(timeout=60) == 100
    nested = chord(
        [chord([swap.s(**URLS), swap.s(**URLS)], gather.s("inner")), chain(swap.s(**URLS), keep.s()), swap.s(**URLS)],
        gather.s("outer"),
    )
    assert nested.apply_async().get(timeout=30) == 3
    wait_until(lambda: noted(store, "kept-too") == ["linked"])
    assert (noted(store, "gathered"), noted(store, "inner"), noted(store, "outer")) == (["100"], ["2"], ["3"])
    assert max(noted(store, "kept")) == "linked"
    assert len(noted(store, "kept")) == 3
    assert noted(store, "failed") == []


@pytest.mark.usefixtures("worker", "product", "product_worker")
def test_a_failure_is_told_to_whoever_waits(store: Store, vendor: Sandbox, client: SwapClient) -> None:
    vendor.faults("status_2:id=bad,msg=no face found")
    bad = swap.s(**URLS, business_task_id="bad")
    result = bad.apply_async(link=keep.s(), link_error=told_of_failure.s())
    with pytest.raises(SwapFailed, match="no_face: no face found"):
        result.get(timeout=30)
    wait_until(lambda: noted(store, "failed") == [result.id])
    whole = chord([swap.s(**URLS), bad], gather.s()).apply_async()
    with pytest.raises(Exception, match="no_face"):
        whole.get(timeout=30)
    rest = chain(bad, keep.s(), url_of.s()).apply_async()
    with pytest.raises(Exception, match="no_face"):
        rest.get(timeout=30)
    wait_until(lambda: (rest.state, rest.parent.state) == ("FAILURE", "FAILURE"))
    assert noted(store, "kept") == noted(store, "gathered") == []
    # Retried by its user it goes on as any task that is run again: links and the rest of the chain, but no chord that
    # is over.
    vendor.faults()
    client.retry("bad")
    wait_until(lambda: len(noted(store, "kept")) == 2, what="the link of the first, and the chain's next one")
    # An AsyncResult keeps what it has seen of an end.
    assert AsyncResult(result.id).get(timeout=30)["state"] == "succeeded"
    wait_until(lambda: AsyncResult(rest.id).state == "SUCCESS")
    assert noted(store, "gathered") == []


@pytest.mark.usefixtures("worker", "product", "product_worker")
def test_a_revoked_and_an_expired_task_are_told_as_such(store: Store, vendor: Sandbox, client: SwapClient) -> None:
    vendor.faults("pending:s=60")
    result = swap.s(**URLS, business_task_id="slow").apply_async(link_error=told_of_failure.s())
    wait_until(lambda: client.list(business_task_id="slow", state="waiting").jobs)
    result.revoke()
    with pytest.raises(TaskRevokedError):  # as "cancelled", or "revoked" by the process that asked for it
        result.get(timeout=30)
    assert result.state == "REVOKED"
    assert client.wait("slow", 10).state is JobState.CANCELLED
    late = swap.s(**URLS, business_task_id="late").apply_async(expires=1)
    with pytest.raises(TaskRevokedError, match="expired"):
        late.get(timeout=30)
    assert noted(store, "failed") == [], "as with Celery's own: who revokes a task knows it"
    ahead = swap.s(**URLS, business_task_id="ahead").apply_async(countdown=60)
    wait_until(lambda: store.redis.zcard(keys.delayed()))
    ahead.revoke()
    wait_until(lambda: store.redis.exists(keys.revoked(ahead.id)))
    store.redis.zadd(keys.delayed(), {str(store.redis.zrange(keys.delayed(), 0, 0)[0]): 1})
    with pytest.raises(TaskRevokedError, match="revoked"):
        ahead.get(timeout=30)
    assert client.list(business_task_id="ahead").jobs == []


@pytest.mark.usefixtures("worker", "product")
def test_what_can_not_be_done_is_told(product: Celery, store: Store, client: SwapClient) -> None:
    with pytest.raises(InvalidRequest, match="source_url: must begin with"):
        swap.s(source_url="nonsense", target_url=URLS["target_url"])
    with pytest.raises(InvalidRequest, match="source_url: is missing; source_ulr: is no field here; did you mean"):
        swap.delay(source_ulr=URLS["source_url"], target_url=URLS["target_url"])
    with pytest.raises(InvalidRequest, match=r"tool: .* did you mean roop\?"):
        swap.apply_async({**URLS, "tool": "rooop"}, countdown=1)
    results = {
        "source_url: is missing": swap.s(target_url=URLS["target_url"]).apply_async(),
        "takes its fields by name": swap.s(target_url=URLS["target_url"]).apply_async(args=(1,)),
        "source_url: must begin": product.send_task("swapjobs.swap", kwargs={**URLS, "source_url": "x"}, queue="swaps"),
        "what comes after this task has": swap.s(**URLS).apply_async(link=keep.s("x" * 300_000)),
    }
    for text, result in results.items():
        with pytest.raises(Exception, match=text) as refused:
            result.get(timeout=30)
        assert type(refused.value).__name__ == "SwapFailed"
    swap.delay(**URLS, business_task_id="used").get(timeout=30)
    other = swap.delay(**{**URLS, "target_url": "https://pictures.example/other.jpg"}, business_task_id="used")
    with pytest.raises(SwapFailed, match="idempotency_conflict: business_task_id 'used' was already used"):
        other.get(timeout=30)
    again = swap.delay(**URLS, business_task_id="used")
    assert again.get(timeout=30)["id"] == client.get("used").id, "the same job, done already"
    for message in ("no JSON", "{}", '{"headers": {"task": "other.task", "id": "1"}, "properties": {}, "body": ""}'):
        store.redis.lpush(keys.SWAPS_QUEUE, message)
    soon = swap.s(**URLS).apply_async(countdown=1)
    assert soon.get(timeout=30)["state"] == "succeeded"
    nobody = swap.s(**URLS, business_task_id="nobody").apply_async(ignore_result=True)
    wait_until(lambda: client.list(business_task_id="nobody", state="succeeded").jobs)
    assert not store.redis.exists(keys.continuations(client.get("nobody").id), f"celery-task-meta-{nobody.id}")
    assert store.redis.exists(keys.arriving(), keys.SWAPS_QUEUE, keys.delayed()) == 0


@pytest.mark.usefixtures("product")
def test_what_comes_after_it_outlives_killed_workers_and_a_broker_that_is_away(
    program: Callable[..., Program], store: Store, client: SwapClient, redis_url: str, tmp_path: Path
) -> None:
    """Killed between the job's end and the telling of it; then the product's broker is away for a while."""
    swaps = program("celery", "-A", "swapworker.app", "worker", "-l", "info", "-Q", "swaps").wait_for("ready.")
    sent = swap.s(**URLS, business_task_id="told").apply_async(link=keep.s())
    wait_until(lambda: client.list(business_task_id="told", state="succeeded").jobs)
    swaps.end(signal.SIGKILL)
    assert AsyncResult(sent.id).state == "PENDING"
    elsewhere = EmbeddedRedis(tmp_path / "elsewhere", port=free_port())
    hooks = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-Q", "webhooks")
    first = program(*hooks, SWAPJOBS_CELERY_BROKER_URL=elsewhere.url).wait_for('"outcome":"pending"')
    first.end(signal.SIGKILL)
    with elsewhere:
        program(*hooks, SWAPJOBS_CELERY_BROKER_URL=elsewhere.url).wait_for("ready.")
        assert sent.get(timeout=60)["business_task_id"] == "told"
        settings = {"PRODUCT_REDIS_URL": elsewhere.url, "PYTHONPATH": str(ROOT / "tests")}
        command = ("celery", "-A", "support.product", "worker", "-l", "info", "-P", "threads")
        program(*command, **settings).wait_for("ready.")
        with redis.Redis.from_url(elsewhere.url, decode_responses=True) as there:
            wait_until(lambda: there.lrange("product:kept", 0, -1) == ["told"])
    assert store.redis.zcard(keys.schedule()) == 1, "its pruning: nothing of it is left to do"
    assert redis_url != elsewhere.url


@pytest.mark.usefixtures("worker", "product")
def test_what_can_not_be_sent_makes_the_task_a_failed_one(product: Celery) -> None:
    link = {**keep.s(), "options": {"countdown": "nonsense"}}
    sent = product.send_task("swapjobs.swap", kwargs=URLS, queue="swaps", link=link)
    with pytest.raises(SwapFailed, match="internal: what comes after the task can't be sent"):
        sent.get(timeout=30)


@pytest.mark.usefixtures("product")
def test_a_product_with_a_broker_of_its_own(
    program: Callable[..., Program], client: SwapClient, tmp_path: Path
) -> None:
    """Here another Redis: its swaps are brought over, results and what comes after them go back to it."""
    with EmbeddedRedis(tmp_path / "elsewhere") as elsewhere:
        use(elsewhere.url)
        own = {"SWAPJOBS_CELERY_BROKER_URL": elsewhere.url, "SWAPJOBS_CELERY_RESULT_BACKEND": elsewhere.url}
        program("celery", "-A", "swapworker.app", "worker", "-l", "info", **own).wait_for("ready.")
        settings = {"PRODUCT_REDIS_URL": elsewhere.url, "PYTHONPATH": str(ROOT / "tests")}
        program("celery", "-A", "support.product", "worker", "-l", "info", "-P", "threads", **settings).wait_for(
            "ready."
        )
        whole = chord([chain(swap.s(**URLS, business_task_id=f"{n}"), keep.s()) for n in range(5)], gather.s())
        assert whole.apply_async().get(timeout=60) == 5
        assert {job.state for job in client.list().jobs} == {JobState.SUCCEEDED}
        assert len(client.list().jobs) == 5
