"""Retired words do not come back: docs/glossary.md says which, and what is said instead."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS = ("producers", "worker", "ops", "tests", "docs")
SUFFIXES = {".py", ".lua", ".md", ".js", ".ts", ".html", ".svg", ".yml"}
ELSEWHERE = {"docs/glossary.md", "tests/architecture/test_words.py"}

RETIRED = {
    r"runways?": "ready queue",
    r"wake-?up set": "schedule",
    r"(stands?|stood|jobs|back|longest|places?|much|many)[ _]in[ _]line|\bin_line": "queued",
    r"(?<!only a )(?<!only )(?<!param_)\bhints?\b(?! at\b)": "message",
    r"(?<!\w)lines? (is|was|are|were) (open|closed|shut)|(open|close|closed|opens|closes) (the )?line\b": "dispatch",
    r"\b(spared|forgiven|forgave)\b": "not charged",
    r"\b(set|sets) aside\b": "hold",
    r"\btally\b": "counts",
    r"\b(NotOffered|says_of_vendor|stand_in_line|in_hand)\b": "see CHANGELOG",
}
# As names of variables these say nothing of what the variable holds.
VAGUE = {"told", "each", "most", "kept", "found"}


def texts() -> Iterator[tuple[Path, str]]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    for path in [*paths, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docker-compose.yml"]:
        if path.relative_to(ROOT).as_posix() not in ELSEWHERE:
            yield path, path.read_text(encoding="utf-8")
    changelog = ROOT / "CHANGELOG.md"  # its first table says what was renamed
    yield changelog, changelog.read_text(encoding="utf-8").partition("\n### Added\n")[2]


def test_retired_words_do_not_come_back() -> None:
    retired = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}, say: {instead}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, instead in RETIRED.items()
        if (match := re.search(pattern, line))
    ]
    assert retired == []


def test_variables_are_named_after_what_they_hold() -> None:
    vague = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.id}"
        for path, text in texts()
        if path.suffix == ".py"
        for scope in ast.walk(ast.parse(text))
        if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(scope)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE
    ]
    assert vague == []


def test_files_that_comments_name_exist() -> None:
    names = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*")}
    missing = [
        f"{path.relative_to(ROOT)}: {named}"
        for path, text in texts()
        if path.suffix in {".py", ".lua", ".md"} and "tests" not in path.parts
        for named in re.findall(r"[\w/]+\.(?:py|lua)\b", text)
        if named.rsplit("/")[-1] not in {*names, "NAME.py"}
    ]
    assert missing == []
