"""What a start costs: CPU (user + system) and time of commands, and of workers until they take jobs.

    python ops/bench/cold_start.py [--rounds 7]

Files are in the cache and bytecode is compiled: one round before the measured ones is not counted. Commands are run in
turn, so that all of them meet the same load. A worker is ready when it listens for control commands; its CPU is that of
all its processes: `swapjobs worker` is three (swaps, webhooks, and the one that looks after both), plain Celery's one.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from common import OURS, PLAIN, Bench, cpu_s, wait
from report import Table, finish, parser, say

BIN: Final = Path(sys.executable).parent
QUIET: Final = ("--without-gossip", "--without-mingle")  # as ours: mingle alone waits for a second
URLS: Final = ("https://img.example.invalid/source.jpg", "https://img.example.invalid/target.jpg")
COMMANDS: Final = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "import swapjobs": (sys.executable, "-c", "import swapjobs"),
    "from swapjobs import SwapClient": (sys.executable, "-c", "from swapjobs import SwapClient"),
    "swapjobs --help": (str(BIN / "swapjobs"), "--help"),
    "swapjobs submit": (str(BIN / "swapjobs"), "submit", *URLS),
    "celery --help": (str(BIN / "celery"), "--help"),
}
WORKERS: Final = {
    "swapjobs worker": (OURS, 2, ("-m", "swapjobs", "worker")),
    "swapjobs worker --queues swaps": (OURS, 1, ("-m", "swapjobs", "worker", "--queues", "swaps")),
    "celery worker": (PLAIN, 1, ("-m", "celery", "-A", "plain_celery", "worker", "-P", "threads", "-c", "50", *QUIET)),
}
Sample = tuple[float, float]  # CPU and wall, seconds


def command(bench: Bench, name: str) -> Sample:
    """Run a command to its end."""
    environment = {**os.environ, **bench.environment(OURS)}  # noqa: TID251 - for a child
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(COMMANDS[name], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began


def worker(bench: Bench, name: str) -> Sample:
    """Start a worker, wait until it is ready, and end it."""
    kind, processes, arguments = WORKERS[name]
    began = time.monotonic()
    process = bench.start(list(arguments), core=0, **bench.environment(kind))
    wait(lambda: process.check() and listeners(bench) >= processes, f"{name} is ready", 90)
    sample = cpu_s(process.handle), time.monotonic() - began
    process.end()
    wait(lambda: not listeners(bench), f"{name} is gone", 30)
    return sample


def listeners(bench: Bench) -> int:
    """Count the workers that listen for control commands."""
    return len(bench.redis.client_list(_type="pubsub"))


def main() -> None:
    """Run all in turn, and print the table."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    samples: dict[str, list[Sample]] = {name: [] for name in (*COMMANDS, *WORKERS)}
    with Bench() as bench:
        for number in range(-1, chosen.rounds):
            say(f"cold_start: round {number + 1}")
            for name, taken in samples.items():
                sample = (command if name in COMMANDS else worker)(bench, name)
                if number >= 0:
                    taken.append(sample)
    title = f"Cold start, s, {chosen.rounds} rounds"
    table = Table(title, ["what", "CPU, median", "CPU, least", "wall, median"])
    for name, taken in samples.items():
        cpu, wall = zip(*taken, strict=True)
        table.add(name, statistics.median(cpu), min(cpu), statistics.median(wall))
    finish("cold_start", chosen, [table], **samples)


if __name__ == "__main__":
    main()
