"""Documents stay true: links lead somewhere, commands exist, what is generated is as it is generated."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import typer

from support.paths import ROOT
from swapjobs.cli.main import app
from swapjobs.contract.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("producers/swapjobs", "worker/swapworker", "ops/swapsandbox")
DOCUMENTS = sorted(
    path
    for folder in (ROOT / "docs", ROOT / "producers", ROOT / "worker", ROOT / "ops", ROOT)
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
STEPS = re.findall(r"^\| (\d+) \| .+? \| `(.+?)` \| `(.+?)` \|$", ARCHITECTURE, re.MULTILINE)


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "ops" / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# -- links and commands


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def blocks(text: str, *kinds: str) -> Iterator[str]:
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if kind in kinds:
            yield block.replace("\\\n", " ")


def commands() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
        lines += [line.removeprefix("$ ") for block in blocks(text, "console") for line in block.splitlines()]
        lines += re.findall(r"`(swapjobs [a-z][^`\n]*)`", text)
        for line in lines:
            if line.startswith("swapjobs "):
                yield name_of(path), line.partition(" #")[0].split(" > ")[0].strip().removesuffix("...")


@pytest.mark.parametrize(("document", "command"), sorted({*commands()}))
def test_every_command_in_a_document_is_one(document: str, command: str) -> None:
    assert document
    words = shlex.split(command)[1:]
    group: Any = typer.main.get_command(app)
    while words and hasattr(group, "commands") and not words[0].isupper():  # TOOL is any
        inner = group.get_command(None, words[0])
        assert inner is not None, f"{command}: no command {words[0]}"
        group = inner
        words.pop(0)
    if hasattr(group, "commands"):
        return
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}]
    assert unknown == [] or group.context_settings.get("ignore_unknown_options"), f"{command}: no option {unknown}"


# -- the size of things


def test_the_readme_is_read_in_two_minutes_and_contributing_in_five() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_lives_there_in_ten_lines(package: str) -> None:
    folders = {path.parent for path in (ROOT / package).rglob("__init__.py")} | {ROOT / package}
    pages = {folder / "README.md" for folder in folders}
    pages -= {ROOT / "producers/swapjobs/README.md"}  # it is that of producers/
    pages -= {ROOT / "ops/swapsandbox/pictures/README.md"}  # it says where each picture comes from
    assert {name_of(page): len(page.read_text(encoding="utf-8").splitlines()) <= 10 for page in pages} == {
        name_of(page): True for page in pages
    }


def test_modules_stay_short() -> None:
    """Past 250 lines a module is worth a thought, past 400 it holds two subjects."""
    paths = [path for folder in PACKAGES for suffix in ("py", "lua") for path in (ROOT / folder).rglob(f"*.{suffix}")]
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    print(sorted(f"{length} {path}" for path, length in lengths.items() if length > 250))  # noqa: T201
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_folders_hold_about_a_dozen_files() -> None:
    counts = Counter(path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert {name_of(folder): count for folder, count in counts.items() if count > 30} == {}


# -- the life of a job


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


# -- what is generated, and what is fixed


@pytest.mark.parametrize("name", ["generated_docs", "architecture_svg", "dashboards"])
def test_generated_documents_are_as_they_are_generated(name: str) -> None:
    """After a change: python ops/tools/<name>.py."""
    for path, text in tool(name).generated().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, path


def test_every_setting_of_the_contract_has_its_default() -> None:
    default_of = tool("generated_docs").default_of
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
    assert {name: default_of(name) for name in fixed} == fixed


def test_every_code_of_a_failed_job_is_explained() -> None:
    page = (ROOT / "docs/guide/python.md").read_text(encoding="utf-8")
    rows = page.partition("| `error.code` |")[2].partition("\n\n")[0].splitlines()[2:]
    explained = [code for row in rows for code in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(explained) == sorted(ErrorCode)


def test_the_public_names_resolve() -> None:
    module = importlib.import_module("swapjobs")
    assert all(hasattr(module, name) for name in module.__all__)
