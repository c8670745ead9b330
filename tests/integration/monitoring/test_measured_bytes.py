"""What the planner reckons with is what a job takes now: bytes do not depend on the machine, so they are counted again.

By the benchmark's own code, with workers and a vendor of their own, and an eighth of its jobs: the tables of Redis,
which grow by doubling, are as full then as with all of them.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from support.paths import ROOT
from swapjobs.monitoring import measured

JOBS = 1_250
TOLERANCE = 0.1


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark behind measured.py, a script of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "ops" / "bench"))
    return importlib.import_module("capacity")


@pytest.mark.slow
def test_a_job_takes_as_many_bytes_as_the_planner_reckons_with(bench: Any) -> None:
    """After a change of the record: python ops/bench/capacity.py --write."""
    now = bench.bytes_of(bench.Case("webhook", JOBS, idle_s=0))
    assert now["queued_bytes"] == pytest.approx(measured.QUEUED_BYTES, rel=TOLERANCE)
    assert now["finished_bytes"] == pytest.approx(measured.FINISHED_BYTES, rel=TOLERANCE)
