"""The Python of README and guides: each block is run as it stands, against a live worker and gateway."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.paths import ROOT
from support.processes import ACME_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.processes import GatewayProcess, Program

BLOCKS = [
    pytest.param(block, id=f"{path.stem}-{number}")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md")))
    for number, block in enumerate(
        re.findall(r"^```py(?:thon)?\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
]

pytestmark = pytest.mark.usefixtures("worker")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs_as_it_stands(
    block: str, program: Callable[..., Program], redis_url: str, gateway: GatewayProcess, request: pytest.FixtureRequest
) -> None:
    for written, here in (
        ("redis://127.0.0.1:6379/0", redis_url),
        ("https://swaps.example", gateway.url),
        ("sj_...", ACME_KEY),
    ):
        block = block.replace(written, here)
    script = request.getfixturevalue("tmp_path") / "block.py"
    script.write_text(block, encoding="utf-8")
    if "@app.task" in block:  # a product with a worker of its own
        command = ("celery", "-A", "block", "worker", "-l", "info", "-P", "threads", "-n", "product@%h")
        program(*command, PYTHONPATH=str(script.parent)).wait_for("ready.")
    with program("block", PYTHONPATH=str(script.parent)) as started:
        assert started.process.wait(60) == 0, started.output
    if ".wait(" in block or ".get(timeout" in block:
        assert started.output.startswith("succeeded http"), started.output
