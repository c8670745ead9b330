"""Chords of a product's own Celery app, while the workers that do their parts are killed again and again.

`PYTHONPATH=tests python -m chaos.chords --chords 100 --parts 100`: every body runs, none twice, nothing is paid twice.
The product's own worker is left alone: what Celery makes of its death is its own matter.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import redis
from celery import chord

from chaos.child import Child, clean_environment
from chaos.waits import pass_time
from support import product as product_app
from support.builders import wait_until
from support.paths import ROOT
from support.product import gather
from swapjobs.celery import swap
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis
from swapsandbox.processes.server_process import sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

LEASE_S: Final = 3.0
PAIR: Final = {"source_url": "https://pictures.example/s.jpg", "target_url": "https://pictures.example/t.jpg"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the chords.

    Attributes:
        bodies: How often each chord's body ran.
        short: Bodies that got fewer results than there are parts.
        billed: Swaps that the vendor charged for.
        duplicates: Those of them that it charged for twice.
        kills: Workers that were killed.
        seconds: From the first chord sent to the last body run.
    """

    bodies: dict[str, int]
    short: int
    billed: int
    duplicates: int
    kills: int
    seconds: float


def run(folder: Path, *, chords: int, parts: int, kills: int, seed: int) -> Outcome:
    """Send the chords, kill workers at random moments, and wait for the last body."""
    chance = random.Random(seed)
    with (
        EmbeddedRedis(folder / "redis") as server,
        sandbox("--no-swap", "--seed", str(seed)) as vendor,
        ExitStack() as end,
    ):
        settings = {
            "SWAPJOBS_REDIS_URL": server.url,
            "SWAPJOBS_API_URL": vendor.url,
            "SWAPJOBS_RATE_LIMIT": "2000/s",
            "SWAPJOBS_LEASE_S": f"{LEASE_S:g}",
            "SWAPJOBS_CALL_TIMEOUT_S": "2",
            "SWAPJOBS_WEBHOOK_CONCURRENCY": "32",
            "PRODUCT_REDIS_URL": server.url,
        }
        environment = clean_environment(settings, ROOT / "tests")

        def child(name: str, *command: str) -> Child:
            made = Child(name, [*command], folder=folder, environment=environment)
            end.callback(made.end)
            made.start()
            return made

        ours = [child(f"swaps-{number}", "swapjobs", "worker", "--queues", "swaps") for number in (1, 2)]
        ours += [child(f"webhooks-{number}", "swapjobs", "worker", "--queues", "webhooks") for number in (1, 2)]
        product = child(
            "product", "celery", "-A", "support.product", "worker", "-l", "info", "-P", "threads", "-c", "8"
        )
        wait_until(lambda: all(item.has_said(" ready.") for item in (*ours, product)), deadline_s=30)
        product_app.use(server.url)
        end.callback(product_app.leave)
        client = end.enter_context(redis.Redis.from_url(server.url, decode_responses=True))
        began = time.monotonic()

        def bodies() -> dict[str, int]:
            return {f"{number}": int(client.llen(f"product:body-{number}")) for number in range(chords)}

        struck = 0
        for number in range(chords):
            header = [swap.s(**PAIR, business_task_id=f"{number}-{part}") for part in range(parts)]
            chord(header, gather.s(f"body-{number}")).apply_async()
            if struck < kills and chance.random() < kills / chords:
                struck += strike(chance.choice(ours))
        while struck < kills and not all(bodies().values()):
            struck += strike(chance.choice(ours))
            pass_time(chance.uniform(0.1, 1.5))
        wait_until(lambda: all(bodies().values()), deadline_s=120 + chords * parts / 50, what="every body has run")
        seconds = time.monotonic() - began
        wait_until(lambda: at_rest(client), deadline_s=30, what="nothing is left that could run again")
        stats = httpx.get(f"{vendor.url}/_sandbox/stats", trust_env=False).json()
        values = [value for number in range(chords) for value in client.lrange(f"product:body-{number}", 0, -1)]
        short = sum(value != str(parts) for value in values)
        return Outcome(bodies(), short, stats["billed"], stats["duplicates"], struck, seconds)


def at_rest(client: redis.Redis) -> bool:
    """Whether nothing is under way: no lease, no delivery, no task of the product's."""
    waiting = [str(member) for member in client.zrange(keys.schedule(), 0, -1)]
    busy = [member for member in waiting if member.startswith(("lease:", "delivery:", "retry:", "poll:"))]
    return not busy and not client.exists(keys.arriving(), *keys.TASK_QUEUES, *keys.READY.values(), "celery")


def strike(child: Child) -> int:
    """Kill a worker and start it again; return 1."""
    child.send(signal.SIGKILL)
    wait_until(lambda: child.status is not None, deadline_s=10)
    child.start()
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and say what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos.chords", description="Kill workers under a product's chords."
    )
    parser.add_argument("--chords", type=int, default=100)
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        given = {"chords": options.chords, "parts": options.parts, "kills": options.kills, "seed": options.seed}
        outcome = run(Path(folder), **given)
    ran = sorted(set(outcome.bodies.values()))
    jobs = options.chords * options.parts
    sys.stdout.write(
        f"seed {options.seed}: {options.chords} chords of {options.parts}, {outcome.kills} workers killed: each body"
        f" ran {ran} times, {outcome.short} with too few results; {outcome.billed} of {jobs} swaps billed,"
        f" {outcome.duplicates} twice; {outcome.seconds:.0f} s\n"
    )
    return 0 if ran == [1] and not outcome.short and outcome.billed == jobs and not outcome.duplicates else 1


if __name__ == "__main__":
    sys.exit(main())
