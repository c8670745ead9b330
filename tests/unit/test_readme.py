"""README stays true: the life of a job names what exists, the settings table is the one that is read."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\| (\d+) \| .+? \| `(.+?)` \| `(.+?)` \|$", README, re.MULTILINE)


def load_tool() -> Any:
    spec = importlib.util.spec_from_file_location("settings_table", ROOT / "ops" / "tools" / "settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_life_of_a_job_has_ten_steps() -> None:
    assert [int(number) for number, _, _ in STEPS] == list(range(1, 11))


@pytest.mark.parametrize(("number", "file", "function"), STEPS)
def test_each_step_names_a_function_in_that_file(number: str, file: str, function: str) -> None:
    assert number
    source = (ROOT / file).read_text(encoding="utf-8")
    *owner, name = function.split(".")
    body = source
    if owner:
        start = re.search(rf"^class {owner[0]}\b", source, re.MULTILINE)
        assert start is not None
        body = source[start.start() :]
    assert re.search(rf"^\s*def {name}\(", body, re.MULTILINE)


def test_the_six_files_of_the_first_reading_stay_short() -> None:
    names = [
        "producers/swapjobs/contract/lifecycle.py",
        "producers/swapjobs/contract/job.py",
        "producers/swapjobs/client/swap_client.py",
        "worker/swapworker/tasks.py",
        "worker/swapworker/attempt/executor.py",
        "worker/swapworker/attempt/retry_policy.py",
    ]
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in names}
    assert max(lengths.values()) <= 250, lengths
    assert sum(lengths.values()) <= 1000, lengths


def test_the_settings_table_and_env_example_are_generated_from_the_classes() -> None:
    """After a change: python ops/tools/settings_table.py."""
    tool = load_tool()
    assert tool.with_table(README) == README
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == tool.env_example()


def test_every_setting_of_the_contract_has_its_default() -> None:
    tool = load_tool()
    fixed = {
        "redis_url": "redis://127.0.0.1:6379/0",
        "api_url": "https://api.zhiqite.com",
        "rate_limit": "5/s",
        "rate_burst": "1",
        "max_in_flight": "0",
        "call_timeout_s": "60",
        "max_attempts": "6",
        "retry_base_s": "1",
        "retry_cap_s": "120",
        "lease_s": "30",
        "result_ttl_s": "604800",
        "concurrency": "32",
    }
    assert {name: tool.default_of(name) for name in fixed} == fixed


def test_modules_stay_short() -> None:
    """Past 250 lines a module is worth a thought, past 400 it holds two subjects."""
    folders = ("producers/swapjobs", "worker/swapworker", "ops/swapsandbox")
    paths = [path for folder in folders for suffix in ("py", "lua") for path in (ROOT / folder).rglob(f"*.{suffix}")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    print(sorted(f"{length} {path.relative_to(ROOT)}" for path, length in lengths.items() if length > 250))  # noqa: T201
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_the_public_names_resolve() -> None:
    module = importlib.import_module("swapjobs")
    assert all(hasattr(module, name) for name in module.__all__)
