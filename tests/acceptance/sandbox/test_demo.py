"""The demo as a user runs it, and as a user stops it."""

from __future__ import annotations

import io
import re
import signal
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from PIL import Image

from support.builders import wait_until
from swapsandbox.demo.plan import PLANS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program


def test_the_demo_holds_and_leaves_pictures_and_a_contact_sheet(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    demo = program("swapjobs", "demo", "--keep-open", "--output", str(tmp_path / "out"))
    demo.wait_for("Ctrl-C ends all of it", deadline_s=120)
    assert "every check held" in demo.output
    (url,) = re.findall(r"http://\S+/console/", demo.output)
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as console:
        assert "All is well." in console.get("").text
        assert console.get("jobs").text.count("data-row") == len(PLANS)
        answer = console.get("search", params={"q": "demo-after-503"}, follow_redirects=True)
        assert "the vendor answered 503" in answer.text
    assert demo.end(signal.SIGINT) == 0, demo.output
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    results = sorted((tmp_path / "out").glob("result-*"))
    assert len(results) >= 4
    for picture in results:
        assert picture.name in page
        with Image.open(io.BytesIO(picture.read_bytes())) as image:
            image.verify()
    assert "no_face" in page


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


# Redis, sandbox, its swap process, receiver, worker and its two Celery processes: stopped as each has just started.
@pytest.mark.parametrize("processes", [1, 2, 4, 5, 6, 7])
def test_ctrl_c_leaves_nothing_running(program: Callable[..., Program], tmp_path: Path, processes: int) -> None:
    demo = program("swapjobs", "demo", "--output", str(tmp_path / "out"))
    handle = psutil.Process(demo.process.pid)
    wait_until(lambda: len(handle.children(recursive=True)) >= processes, deadline_s=60)
    family = handle.children(recursive=True)
    assert demo.end(signal.SIGINT, deadline_s=40) == 130
    assert "nothing is left running" in demo.output
    wait_until(lambda: not any(is_alive(child) for child in family), deadline_s=10)
    assert not list(tmp_path.glob("swapjobs-demo-*"))
