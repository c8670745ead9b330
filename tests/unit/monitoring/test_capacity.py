"""The capacity calculator: more work never needs less, and docs/operations/capacity.md prints what it prints."""

from __future__ import annotations

import json
import math
import re
import shlex
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.paths import ROOT
from swapjobs.cli.main import run
from swapjobs.monitoring import capacity as module
from swapjobs.monitoring import measured
from swapjobs.monitoring.capacity import Plan, endless_rate, plan

SHEET = (ROOT / "docs" / "operations" / "capacity.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ swapjobs (doctor --plan .+)\n((?:.*\n)+?)```", SHEET)
FIGURES = re.findall(r"^\|.*\| ([0-9.,]+)[^|]* \| `([A-Z_0-9]+)` \|", SHEET, re.MULTILINE)
WEEK_S = 604_800

RATES = st.floats(min_value=1 / 3600, max_value=10_000)
LATENCIES = st.floats(min_value=0.001, max_value=3600)
JOBS = st.integers(min_value=1, max_value=10**10)
TTLS = st.integers(min_value=60, max_value=10 * WEEK_S)


def needs(planned: Plan) -> dict[str, float]:
    """Return what may only grow with the work."""
    result: dict[str, Any] = asdict(planned)
    given = ("rate_per_s", "latency_s", "jobs", "result_ttl_s")
    walls = {wall.name: wall.used for wall in planned.walls}
    # fewer slots each where one process more is needed
    return {name: result[name] for name in result if name not in {*given, "hours", "concurrency", "walls"}} | walls


def assert_no_less(more: Plan, less: Plan) -> None:
    after = needs(more)
    for name, value in needs(less).items():
        assert after[name] >= value * (1 - 1e-9), name


@given(RATES, LATENCIES, JOBS, TTLS, st.data())
def test_more_of_anything_never_needs_less(
    rate: float, latency: float, jobs: int, ttl: int, data: st.DataObject
) -> None:
    less = plan(rate, latency, jobs, result_ttl_s=ttl)
    assert_no_less(plan(data.draw(st.floats(rate, 10_000)), latency, jobs, result_ttl_s=ttl), less)
    assert_no_less(plan(rate, data.draw(st.floats(latency, 3600)), jobs, result_ttl_s=ttl), less)
    assert_no_less(plan(rate, latency, data.draw(st.integers(jobs, 10**10)), result_ttl_s=ttl), less)
    assert_no_less(plan(rate, latency, jobs, result_ttl_s=data.draw(st.integers(ttl, 10 * WEEK_S))), less)


@given(RATES, LATENCIES, JOBS, TTLS)
def test_what_it_says_is_enough(rate: float, latency: float, jobs: int, ttl: int) -> None:
    planned = plan(rate, latency, jobs, result_ttl_s=ttl)
    assert planned.processes * planned.concurrency >= planned.slots > rate * latency
    assert planned.concurrency <= module.MAX_SLOTS
    assert planned.processes * module.FULL >= rate * measured.SWAP_CPU_US / 1e6 * (1 - 1e-9)
    assert planned.queued_bytes <= planned.peak_bytes < planned.maxmemory_bytes
    assert planned.peak_bytes <= max(planned.queued_bytes, jobs * measured.FINISHED_BYTES)
    assert planned.hours * 3600 * rate * module.RATE_USED == pytest.approx(jobs)
    assert [wall.used for wall in planned.walls] == sorted((wall.used for wall in planned.walls), reverse=True)
    assert planned.cells >= planned.walls[0].used > planned.cells - 1


@given(RATES, LATENCIES, TTLS)
def test_a_stream_that_never_ends_needs_what_a_very_long_one_needs(rate: float, latency: float, ttl: int) -> None:
    """Once records and tombstones go as fast as they come, only what is queued is more."""
    jobs = math.ceil(rate * (ttl + module.TOMBSTONE_S))
    endless = plan(rate, latency, 1, result_ttl_s=ttl).endless_bytes
    held = plan(rate, latency, jobs, result_ttl_s=ttl).peak_bytes
    assert held >= endless * (1 - 1e-9)


def test_records_become_tombstones_and_tombstones_go() -> None:
    """1 job/s, 100 jobs, records kept for 60 s: most is held after 60 s, before there is a tombstone."""
    limit = 60 * measured.FINISHED_BYTES + 40 * measured.QUEUED_BYTES
    assert plan(1, 1, 100, result_ttl_s=60).peak_bytes == limit
    year = 365 * 86_400
    held = 60 * measured.FINISHED_BYTES + module.TOMBSTONE_S * measured.TOMBSTONE_BYTES
    assert plan(1, 1, year, result_ttl_s=60).endless_bytes == held


@given(st.floats(min_value=1e6, max_value=1e12), TTLS)
def test_what_comes_for_ever_fits_until_submits_are_refused(size: float, ttl: int) -> None:
    """And what is held then is what a plan at this rate says."""
    rate = endless_rate(size, ttl)
    held = rate * plan(1, 1, 1, result_ttl_s=ttl).endless_bytes
    assert held == pytest.approx(module.GUARD * size)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, -1, 1), (1, 1, 0), (math.nan, 1, 1), (1, math.inf, 1)])
def test_what_is_no_amount_of_work_is_refused(numbers: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="must be a positive number, not "):
        plan(*numbers, result_ttl_s=WEEK_S)


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWAPJOBS_REDIS_URL", "redis://127.0.0.1:1/0")


def test_the_sheet_has_its_three_examples_and_its_figures() -> None:
    assert len(EXAMPLES) == 3
    assert {name for _, name in FIGURES} == {name for name, value in vars(measured).items() if type(value) is int}


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
@pytest.mark.usefixtures("no_redis")
def test_the_examples_of_the_sheet_are_what_is_printed(
    command: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shlex.split(command)) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("figure", "name"), FIGURES)
def test_the_figures_of_the_sheet_are_those_of_the_calculator(figure: str, name: str) -> None:
    assert float(figure.replace(",", "")) == getattr(measured, name)


A_CORE_US = module.FULL * 1e6
KEPT_BYTES = module.REDIS_BYTES * module.USABLE


@pytest.mark.parametrize(
    ("row", "number"),
    [
        ("a swap worker process on one core |", A_CORE_US / measured.SWAP_CPU_US),
        ("a webhook worker process on one core |", A_CORE_US / measured.HOOK_CPU_US),
        ("one Redis, CPU |", A_CORE_US / (measured.REDIS_SUBMIT_CPU_US + measured.REDIS_CPU_US)),
        ("one Redis, memory of 32 GB |", KEPT_BYTES / measured.FINISHED_BYTES / 1e6),
        ("the same, jobs that come for ever |", KEPT_BYTES / plan(1, 1, 1, result_ttl_s=WEEK_S).endless_bytes),
        ("one Redis, disk at 100 MB/s |", module.DISK_BYTES_PER_S * module.FULL / measured.AOF_BYTES),
        ("one Redis, network of 1 Gbit/s |", module.NETWORK_BITS * module.FULL / 8 / measured.NETWORK_BYTES),
        (
            "one Redis, `maxclients` 10,000 |",
            module.MAX_CLIENTS / (module.MAX_SLOTS + measured.OTHER_CONNECTIONS),
        ),
    ],
)
def test_what_one_of_each_carries_follows_from_the_figures(row: str, number: float) -> None:
    """Told with two digits."""
    match = re.search(re.escape(f"| {row} ") + r"([0-9.,]+) ", SHEET)
    assert match is not None
    assert float(match[1].replace(",", "")) == pytest.approx(number, rel=0.05)


@pytest.mark.usefixtures("no_redis")
def test_json_is_the_plan_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--plan", "300/m", "250ms", "1000", "--json"]) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    planned = plan(5, 0.25, 1000, result_ttl_s=WEEK_S)
    assert json.loads(output) == json.loads(json.dumps(asdict(planned))) | {"first_wall": planned.walls[0].name}


@pytest.mark.usefixtures("no_redis")
def test_how_long_records_are_kept_comes_from_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWAPJOBS_RESULT_TTL_S", "3600")
    assert run(["doctor", "--plan", "50/s", "2s", "1000000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result_ttl_s"] == 3600


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (("fast", "2s", "10"), "RATE 'fast' must be a rate like 5/s, 300/m or 1000/h"),
        (("0/s", "2s", "10"), "RATE '0/s' must be a rate like"),
        (("5/s", "2", "10"), "LATENCY '2' must be the time of one call like 2s, 250ms or 1.5m"),
        (("5/s", "0ms", "10"), "LATENCY '0ms' must be the time of one call"),
        (("5/s", "61m", "10"), "LATENCY '61m' must be the time of one call"),
        (("5/s", "-1s", "10"), "LATENCY '-1s' must be the time of one call"),
        (("5/s", "2s", "0"), "JOBS '0' must be a whole number from 1 to 10000000000"),
        (("5/s", "2s", "1e6"), "JOBS '1e6' must be a whole number"),
        (("5/s", "2s", "99999999999"), "JOBS '99999999999' must be a whole number"),
        (("5/s", "2s"), "'--plan' requires 3 arguments"),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(
    given: tuple[str, ...], output: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--plan", *given]) == 2
    out, errors = capfd.readouterr()
    assert out == ""
    assert errors.startswith("error (usage) ")
    assert output in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("unit", ["500/s 1s 10000000", "1/h 1ms 1", "9999999/s 60m 10000000000"])
def test_any_size_is_told_in_whole_lines(unit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--plan", *unit.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15
    assert not any(re.search(r"\b(nan|inf)\b|e\+", line) for line in lines)
