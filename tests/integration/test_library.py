"""The scripts as a library in Redis: loaded when it is missing, and done without where Redis is too full to take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.builders import claim, make_request, submit
from swapjobs import QueueFull, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.store.jobs import JobStore, connect

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings


def test_a_lost_library_is_loaded_again(store: JobStore, client: SwapClient) -> None:
    id_ = submit(store)
    store.redis.function_flush()
    claimed = claim(store, id_)
    store.redis.function_flush()
    assert client.submit(make_request()).state == "queued"
    store.redis.function_flush()
    assert store.apply(claimed, Event.SUCCEED, patch={}, says="answer") == "ok"


def test_a_full_redis_without_the_library_takes_no_job_and_goes_on_otherwise(
    store: JobStore, client: SwapClient, settings: WorkerSettings
) -> None:
    id_ = submit(store)
    store.redis.function_flush()
    store.redis.config_set("maxmemory", 1)
    try:
        worker = JobStore(connect(settings, meets=True), settings)
        assert worker.line().in_line["interactive"] == 1
        worker.set_limits(settings)
        with pytest.raises(QueueFull):
            client.submit(make_request())
        assert worker.apply(claim(worker, id_), Event.SUCCEED, patch={}, says="answer") == "ok"
        assert client.get(id_).state == "succeeded"
        assert not store.redis.function_list()
    finally:
        store.redis.config_set("maxmemory", 0)


def test_libraries_of_two_versions_do_not_disturb_each_other(store: JobStore, settings: WorkerSettings) -> None:
    other = JobStore(store.redis, settings.model_copy(update={"result_ttl_s": 1234}))
    ids = [submit(store), submit(other)]
    for first, second, id_ in ((store, other, ids[0]), (other, store, ids[1])):
        assert second.apply(claim(first, id_), Event.SUCCEED, patch={}, says="answer") == "ok"
    names = {entry[1] for entry in store.redis.function_list()}
    assert len(names) >= 2


def test_a_look_changes_nothing_where_there_is_nothing_yet(store: JobStore, client: SwapClient) -> None:
    """A script that only reads may not write the state's defaults down."""
    store.redis.flushdb()
    assert client.line().state == "open"
    assert store.redis.dbsize() == 0
