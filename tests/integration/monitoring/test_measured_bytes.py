"""What the planner reckons with is what a job takes now: bytes do not depend on the machine, so they are counted again.

By the benchmark's own code, with workers and a vendor of their own, and an eighth of its jobs. Compared are the keys
that grow with the jobs: what they take together with Redis' tables (`QUEUED_BYTES`, `FINISHED_BYTES`) takes many jobs.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from support.paths import ROOT
from swapjobs.monitoring import measured

JOBS = 1_250
TOLERANCE = 0.05


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark behind measured.py, a script of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "ops" / "bench"))
    return importlib.import_module("capacity")


@pytest.mark.slow
def test_a_job_takes_as_many_bytes_as_the_planner_reckons_with(bench: Any) -> None:
    """After a change of the record: python ops/bench/capacity.py --write."""
    now = bench.bytes_of(bench.Case("webhook", JOBS, idle_s=0))
    then = {name: median for name, (median, _, _) in measured.SEEN["hot, webhook"].items()}
    assert now == {name: pytest.approx(then[name], rel=TOLERANCE) for name in now}
