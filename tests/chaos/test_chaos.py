"""All promises at once, while everything is killed, frozen and restarted: a short seeded run of the harness.

The long one is `make chaos`. The dice fall the same way with the same seed; what the processes were just doing when
they were struck does not.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chaos import report
from chaos.driver import Driver
from chaos.plan import Kind, Plan
from chaos.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_250
PLAN = Plan(
    mixed={
        Kind.WORKER_KILL: 4,
        Kind.WORKER_FREEZE: 1,
        Kind.WORKER_STOP: 1,
        Kind.REDIS_KILL: 2,
        Kind.REDIS_FREEZE: 1,
        Kind.PRODUCER_KILL: 2,
        Kind.HOOKS_KILL: 1,
        Kind.RECEIVER_DOWN: 1,
    },
    jobs=400,
)


def test_no_job_is_lost_and_none_paid_twice_while_everything_breaks(tmp_path: Path) -> None:
    """Worker, producer, Redis and receiver are struck at random moments, while the vendor has a bad day."""
    with Stack(tmp_path, seed=SEED) as stack:
        result = Driver(stack, PLAN, SEED, lambda line: sys.stdout.write(line + "\n")).run()
    sys.stdout.write(report.counters(result))
    assert not result.findings.problems, "\n\n".join(result.findings.problems)
    assert len(result.injections) == sum(PLAN.mixed.values())
