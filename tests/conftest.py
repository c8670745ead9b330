"""A real server for every test that wants one, and the defaults in one place."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

import hypothesis
import pytest
import redis

from swapjobs import SwapClient
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run started in the background ignores SIGINT, and so would the programs that tests stop with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a red run can be run again. Explore with HYPOTHESIS_PROFILE=explore.
# No test is judged by the clock: the machine may have other work.
hypothesis.settings.register_profile("steady", derandomize=True, print_blob=True, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))  # noqa: TID251 - of the tests only


def pytest_collection_finish() -> None:
    """Keep all that collecting made, which stays to the end, out of every later search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own .env and environment are not part of a test."""
    for name in list(os.environ):  # noqa: TID251 - to clear it
        if name.startswith("SWAPJOBS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """An empty database."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def settings(redis_url: str) -> WorkerSettings:
    return WorkerSettings(redis_url=redis_url, rate_limit=Rate("1000/s"))


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    client = connect(settings)
    store = Store(client, settings)
    store.dispatch.set_limits(settings)
    yield store
    client.close()


@pytest.fixture
def client(settings: WorkerSettings) -> Iterator[SwapClient]:
    with SwapClient(settings) as client:
        yield client
