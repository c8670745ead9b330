"""A Redis that is restored from an old backup: what was done since is found at the vendor, and not paid again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from support.builders import make_request, wait_until
from support.killed_redis import write_out
from swapjobs import SwapClient
from swapjobs.settings import WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox

WORKER = ("celery", "-A", "swapworker.app", "worker", "-l", "info")


def test_what_was_done_after_the_backup_is_not_paid_again(
    program: Callable[..., Program], environment: dict[str, str], vendor: Sandbox, tmp_path: Path
) -> None:
    before = [make_request(business_task_id=f"before-{number}") for number in range(12)]
    after = [make_request(business_task_id=f"after-{number}") for number in range(6)]
    new = [make_request(business_task_id=f"new-{number}") for number in range(3)]
    with EmbeddedRedis(tmp_path / "redis") as server, SwapClient(WorkerSettings(redis_url=server.url)) as client:
        environment |= {"SWAPJOBS_REDIS_URL": server.url, "SWAPJOBS_POLL_BASE_S": "0.1", "SWAPJOBS_CALL_TIMEOUT_S": "2"}

        def all_succeed(number: int) -> None:
            wait_until(lambda: [job.state for job in client.list(limit=100).jobs] == ["succeeded"] * number)

        list(client.submit_many(before))
        write_out(server)
        shutil.copytree(server.folder / "appendonlydir", tmp_path / "backup")  # all are queued in it

        worker = program(*WORKER, "-n", "first@%h").wait_for("ready.")
        list(client.submit_many(after))
        all_succeed(18)
        assert vendor.get("stats")["billed"] == 18
        assert worker.end() == 0
        server.stop()
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.copytree(tmp_path / "backup", server.folder / "appendonlydir")
        server.start()

        assert len(client.list(limit=100).jobs) == 12
        restored = program("swapjobs", "restored", "--for", "1h")
        assert restored.process.wait(20) == 0
        program(*WORKER, "-n", "second@%h").wait_for("ready.")
        outcomes = [item.outcome for item in client.submit_many([*before, *after, *new])]
        assert outcomes == ["existing"] * 12 + ["created"] * 9
        all_succeed(21)
        assert vendor.get("stats")["billed"] == 21, "the new ones alone"
        store = client._store  # noqa: SLF001 - what only the metrics show
        assert store.dispatch.inspect().counts["maybe_paid_twice"] == 0
        assert client.operator.audit().entries[0].action == "redis.restored"
