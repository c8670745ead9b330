"""SWAPJOBS_SUBMIT_DURABILITY=fsync: what was accepted is on disk, or the producer is told that this is not known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import redis

from support.builders import make_request, wait_until
from swapjobs import JobState, QueueFull, QueueUnavailable, SwapClient
from swapjobs.settings import CoreSettings
from swapjobs.store import durability, redis_health
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGAIN = "accepted, but not known to be on disk: .*to submit again with the same business_task_id is safe"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """One of the test's own, whose persistence it may change."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def admin(server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, decode_responses=True) as admin:
        yield admin


@pytest.fixture
def client(server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwapClient]:
    """A producer that waits for the disk, but is told soon."""
    monkeypatch.setattr(durability, "PATIENCE_S", 0.3)
    with SwapClient(CoreSettings(redis_url=server.url, submit_durability="fsync")) as client:
        yield client


def never_to_disk(admin: redis.Redis) -> None:
    """Redis writes its file and leaves it to the kernel when that reaches the disk: WAITAOF never sees it there."""
    admin.config_set("appendfsync", "no")


def waits(admin: redis.Redis) -> int:
    """Return how often Redis was asked to wait for the disk."""
    stats: dict[str, Any] = admin.info("commandstats")
    return int(stats.get("cmdstat_waitaof", {}).get("calls", 0))


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_accepted_is_on_disk(
    client: SwapClient, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch, appendfsync: str
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_S", 4.0)
    admin.config_set("appendfsync", appendfsync)
    jobs = [client.submit(make_request()) for _ in range(3)]
    assert [client.get(job.id).state for job in jobs] == [JobState.QUEUED] * 3
    assert waits(admin) == 3


def test_what_is_not_on_disk_is_refused_and_can_be_submitted_again(client: SwapClient, admin: redis.Redis) -> None:
    never_to_disk(admin)
    request = make_request(source_url="https://pictures.example/a.jpg?X-Amz-Signature=abcdef")
    with pytest.raises(QueueUnavailable, match=AGAIN) as refused:
        client.submit(request)
    assert "Redis did not have it there within 0.3 s" in str(refused.value)
    assert "appendfsync, which must not be no" in str(refused.value)
    assert "Signature" not in str(refused.value)
    admin.config_set("appendfsync", "always")
    job = client.submit(request)
    assert job.id in str(refused.value)
    assert admin.zcard("swapjobs:published:interactive") == 1


def test_an_earlier_submit_is_waited_for_too(client: SwapClient, admin: redis.Redis, server: EmbeddedRedis) -> None:
    """The second submit finds the job and writes nothing; the record that another connection wrote is not on disk."""
    never_to_disk(admin)
    request = make_request()
    with SwapClient(CoreSettings(redis_url=server.url)) as other:
        other.submit(request)
    with pytest.raises(QueueUnavailable, match=AGAIN):
        client.submit(request)


def test_without_an_append_only_file_it_is_told_what_would_be_right(client: SwapClient, admin: redis.Redis) -> None:
    admin.config_set("appendonly", "no")
    request = make_request()
    with pytest.raises(QueueUnavailable, match=AGAIN) as refused:
        client.submit(request)
    assert "WAITAOF cannot be used when numlocal is set but appendonly is disabled" in str(refused.value)
    assert "CONFIG SET appendonly yes" in str(refused.value)
    admin.config_set("appendonly", "yes")
    assert client.submit(request).id in str(refused.value)


def test_the_doctor_knows_before(admin: redis.Redis) -> None:
    """To producers who don't wait for the disk it is a warning."""
    admin.config_set("appendonly", "no")
    assert [problem.fatal for problem in redis_health.server_problems(admin)] == [False]
    (problem,) = redis_health.server_problems(admin, fsync=True)
    assert problem.fatal
    assert "every submit fails with SWAPJOBS_SUBMIT_DURABILITY=fsync" in problem.what
    admin.config_set("appendonly", "yes")
    assert redis_health.server_problems(admin, fsync=True) == []
    # A server that rewrites its file ends only afterwards.
    wait_until(lambda: not admin.info("persistence")["aof_rewrite_in_progress"])


def test_many_wait_once_for_each_block(client: SwapClient, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "PATIENCE_S", 4.0)
    admin.config_set("appendfsync", "always")
    outcomes = [item.outcome for item in client.submit_many(make_request() for _ in range(250))]
    assert outcomes == ["created"] * 250
    assert waits(admin) == 3
    never_to_disk(admin)
    monkeypatch.setattr(durability, "PATIENCE_S", 0.3)
    with pytest.raises(QueueUnavailable, match=f"^2 jobs were {AGAIN}"):
        list(client.submit_many([make_request(), make_request()]))


def test_threads_share_the_client(client: SwapClient, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait holds its own connection and nobody else's; one fsync is enough for all who wait for it."""
    monkeypatch.setattr(durability, "PATIENCE_S", 4.0)
    with ThreadPoolExecutor(16) as threads:
        jobs = list(threads.map(client.submit, [make_request() for _ in range(32)]))
    assert len({job.id for job in jobs}) == 32
    assert waits(admin) == 32


def test_a_server_that_forgot_the_script_gets_it_again(
    client: SwapClient, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_S", 4.0)
    client.submit(make_request())
    admin.script_flush()
    assert client.submit(make_request()).state is JobState.QUEUED


def test_what_was_not_accepted_is_told_as_ever(client: SwapClient, admin: redis.Redis, server: EmbeddedRedis) -> None:
    admin.config_set("maxmemory", "1mb")
    with pytest.raises(QueueFull):
        client.submit(make_request())
    server.stop()
    with pytest.raises(QueueUnavailable, match="Redis cannot be reached"):
        client.submit(make_request())


def test_who_does_not_ask_for_the_disk_does_not_wait_for_it(server: EmbeddedRedis, admin: redis.Redis) -> None:
    never_to_disk(admin)
    with SwapClient(CoreSettings(redis_url=server.url)) as client:
        client.submit(make_request())
    assert waits(admin) == 0
