"""A Redis user with few rights, as managed Redis gives it, and errors of Redis: each says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import redis

from support.builders import claim, submit
from support.paths import ROOT
from swapjobs import QueueUnavailable
from swapjobs.contract.lifecycle import Event
from swapjobs.monitoring.health import unreachable
from swapjobs.settings import CoreSettings, WorkerSettings
from swapjobs.store import redis_health
from swapjobs.store.redis_advice import ACL_RULES, advice
from swapjobs.store.redis_client import queue_errors, redis_client
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "operations" / "redis.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


def as_user(server: EmbeddedRedis, rules: str) -> WorkerSettings:
    with redis.Redis(port=server.port) as root:
        root.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rules.split())
    return WorkerSettings(redis_url=f"redis://app:secret@127.0.0.1:{server.port}/0")


def test_the_user_of_the_page_may_do_all_that_is_needed(server: EmbeddedRedis) -> None:
    line = re.search(r"^ACL SETUSER (\S+) on >\S+ (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    assert line[2] == ACL_RULES
    settings = as_user(server, line[2])
    with connect(settings, detect_failover=True) as client:
        assert redis_health.server_facts(client)["memory"]
        store = Store(client, settings)
        store.dispatch.set_limits(settings)
        job = submit(store)
        store.dispatch.dispatch_due("w", 600)
        taken = claim(store, job)
        store.attempts.record_outcome(taken, Event.SUCCEED, patch={}, signal="answer", made_at_ms=taken.now_ms)
        assert store.jobs.get(job).to_job().state == "succeeded"
        assert store.dispatch.inspect().counts
    with redis.Redis(port=server.port, decode_responses=True) as root:
        assert not root.execute_command("ACL", "LOG")


def error_of(server: EmbeddedRedis, rules: str) -> redis.RedisError:
    settings = as_user(server, rules)
    with connect(settings) as client, pytest.raises(redis.RedisError) as refused:
        redis_health.server_facts(client)
    return refused.value


def test_a_missing_right_is_named_with_its_remedy(server: EmbeddedRedis) -> None:
    result = advice(error_of(server, "~* &* +@all -@dangerous -@admin"))
    assert result.startswith("allow it: ACL SETUSER <user> +info;")
    with redis.Redis(port=server.port) as root:
        root.execute_command("ACL", "LOG", "RESET")


def test_a_wrong_password_is_told_as_that(server: EmbeddedRedis) -> None:
    with (
        redis.Redis(port=server.port, username="app", password="other") as client,
        pytest.raises(redis.RedisError) as refused,
    ):
        client.ping()
    assert "password" in advice(refused.value)


def test_a_password_that_is_missing_is_told_as_that_and_not_in_words_of_the_protocol(server: EmbeddedRedis) -> None:
    with redis.Redis(port=server.port) as root:
        root.config_set("requirepass", "hush")
    try:
        with (
            connect(CoreSettings(redis_url=server.url)) as client,
            pytest.raises(QueueUnavailable) as refused,
            queue_errors(),
        ):
            client.ping()
        assert str(refused.value) == "Redis wants a password"
        assert isinstance(refused.value.__cause__, redis.AuthenticationError)
        check = unreachable(refused.value.__cause__)
        assert check.found == "Redis wants a password"
        assert "redis://[user]:password@host:port/0" in check.remedy
    finally:
        with redis.Redis(port=server.port, password="hush") as root:
            root.config_set("requirepass", "")


def test_tls_to_a_server_without_it_is_told_as_that(server: EmbeddedRedis) -> None:
    with redis_client(f"rediss://127.0.0.1:{server.port}/0", patience_s=0.5) as client:
        client.connection_pool.connection_kwargs["socket_connect_timeout"] = 0.5
        with pytest.raises(redis.TimeoutError) as refused:
            client.ping()
    assert advice(refused.value).startswith("rediss:// in SWAPJOBS_REDIS_URL speaks TLS: does this server?")


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (redis.ConnectionError("Error 111 connecting to h:1. Connection refused."), "start Redis, or correct the host"),
        (redis.ConnectionError("Error -2 connecting to h:1. Name or service not known."), "no such host"),
        (redis.ConnectionError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS"),
        (redis.exceptions.MovedError("3999 127.0.0.1:6381"), "Cluster"),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "disk"),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "loading"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "replica"),
        (redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "maxmemory"),
        (redis.ResponseError("DB index is out of range"), "/0"),
        (redis.TimeoutError("Timeout reading from socket"), "does not answer in time"),
    ],
    ids=str,
)
def test_every_kind_of_error_has_its_own_advice(error: redis.RedisError, output: str) -> None:
    assert output in advice(error)
