"""The scripts as a library in Redis: loaded when it is missing, and done without where Redis is too full to take it."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import pytest

from support.builders import claim, make_request, submit
from swapjobs import QueueFull, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys
from swapjobs.store.library import library
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings


def another_version(store: Store, settings: WorkerSettings) -> Store:
    """Return a store whose library has another text, and so another name."""
    usual = (resources.files("swapjobs.store") / "lua/shared/fleet/redis_time.lua").read_text(encoding="utf-8")
    return Store(store.redis, settings, redis_time=f"-- of another version\n{usual}")


def test_a_lost_library_is_loaded_again(store: Store, client: SwapClient) -> None:
    id_ = submit(store)
    store.redis.function_flush()
    claimed = claim(store, id_)
    store.redis.function_flush()
    assert client.submit(make_request()).state == "queued"
    store.redis.function_flush()
    assert store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, signal="answer") == "ok"


def test_a_full_redis_without_the_library_takes_no_job_and_goes_on_otherwise(
    store: Store, client: SwapClient, settings: WorkerSettings
) -> None:
    id_ = submit(store)
    store.redis.function_flush()
    store.redis.config_set("maxmemory", 1)
    try:
        worker = Store(connect(settings, detect_failover=True), settings)
        assert worker.dispatch.status().queued["interactive"] == 1
        worker.dispatch.set_limits(settings)
        with pytest.raises(QueueFull):
            client.submit(make_request())
        assert worker.attempts.record_outcome(claim(worker, id_), Event.SUCCEED, patch={}, signal="answer") == "ok"
        assert client.get(id_).state == "succeeded"
        assert not store.redis.function_list()
    finally:
        store.redis.config_set("maxmemory", 0)


def test_libraries_of_two_versions_do_not_disturb_each_other(store: Store, settings: WorkerSettings) -> None:
    other = another_version(store, settings)
    ids = [submit(store), submit(other)]
    for first, second, id_ in ((store, other, ids[0]), (other, store, ids[1])):
        assert second.attempts.record_outcome(claim(first, id_), Event.SUCCEED, patch={}, signal="answer") == "ok"
    names = {entry[1] for entry in store.redis.function_list()}
    assert len(names) >= 2


def test_a_library_that_no_worker_used_for_a_day_is_deleted(store: Store, settings: WorkerSettings) -> None:
    other = another_version(store, settings)
    submit(store)
    submit(other)
    assert not store.functions.delete_unused(), "of the other one nothing is known yet"
    (name,) = set(store.redis.hkeys(keys.libraries())) - {library().name}
    store.redis.hincrby(keys.libraries(), name, -86_000_000)
    assert not store.functions.delete_unused()
    store.redis.hincrby(keys.libraries(), name, -600_000)
    assert other.functions.delete_unused() == [], "its own workers use it again"
    store.redis.hincrby(keys.libraries(), name, -86_600_000)
    assert store.functions.delete_unused() == [name]
    assert {entry[1] for entry in store.redis.function_list()} == {library().name}
    assert submit(other), "who still needs it loads it again"


def test_a_look_changes_nothing_where_there_is_nothing_yet(store: Store, client: SwapClient) -> None:
    """A script that only reads may not write the state's defaults down."""
    store.redis.flushdb()
    assert client.operator.status().state == "running"
    assert store.redis.dbsize() == 0
