"""A worker's memory stays as it is, however many jobs it has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from support.builders import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import Program

OWN = "glibc.malloc.check=0"


@pytest.mark.parametrize(
    ("given", "there"),
    [({}, "glibc.malloc.tcache_count=0"), ({"GLIBC_TUNABLES": OWN}, OWN)],
    ids=["nothing is said", "something is"],
)
def test_the_allocator_keeps_nothing_for_each_slot_unless_it_is_told_otherwise(
    program: Callable[..., Program], given: dict[str, str], there: str
) -> None:
    worker = program("swapjobs", "worker", "--queues", "swaps", **given)
    process = psutil.Process(worker.process.pid)
    wait_until(lambda: "swapworker.start" in process.cmdline(), what="Celery's process is there")
    assert process.environ()["GLIBC_TUNABLES"] == there
