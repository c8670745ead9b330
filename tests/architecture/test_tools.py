"""The table of the vendor's tools is the one place that names a tool: the next one is a row and never a branch."""

from __future__ import annotations

import re

from support.paths import ROOT
from swapjobs.contract.vendor_tools.table import TOOLS

FOLDERS = ("producers/swapjobs", "worker", "ops/swapsandbox")
TABLE = "producers/swapjobs/contract/vendor_tools"
SUFFIXES = {".py", ".lua", ".html", ".js", ".toml"}


def test_no_tool_is_named_outside_of_the_table() -> None:
    names = "|".join(map(re.escape, sorted(TOOLS, key=len, reverse=True)))
    named = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and TABLE not in path.as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := re.search(rf"(?<![\w/-])({names})(?![\w/-])", line))
    ]
    assert named == []
