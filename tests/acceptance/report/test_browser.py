"""The report of a batch in a real browser: 1,000 jobs, searched and paged through; nothing hostile runs."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.browser import find_browser
from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import Job, JobError
from swapjobs.contract.lifecycle import JobState
from swapjobs.report.page import content_security_policy, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGAN: Final = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OWNED: Final = "document.title='owned'"
HOSTILE: Final = (
    f"</script><script>{OWNED}</script>",
    f"\"'><img src=x onerror={OWNED}>",
    f"<svg onload={OWNED}>",
    f"javascript:{OWNED}",
)
# Drives the report in a frame, as a person would, and says what was seen.
DRIVER: Final = """<!doctype html><iframe id="report" src="/page.html" width="1200" height="900"></iframe>
<pre id="seen"></pre>
<script>
const frame = document.getElementById("report");
const pause = () => new Promise((done) => setTimeout(done, 300));
frame.onload = async () => {
  const page = frame.contentDocument, seen = {};
  const look = () => [page.getElementById("shown").textContent, page.querySelectorAll("#rows tr").length,
    page.querySelector("#rows .id")?.textContent];
  const change = async (id, value, event) => {
    const field = page.getElementById(id);
    field.value = value;
    field.dispatchEvent(new Event(event, {bubbles: true}));
    await pause();
  };
  seen.start = look();
  page.querySelector("[data-step='1']").click(); seen.next = look();
  await change("state", "failed", "change"); seen.failed = look();
  await change("state", "", "change");
  page.querySelector("[data-code='no_face']").click(); seen.code = look();
  await change("code", "", "change"); await change("search", "ORDER-777", "input"); seen.search = look();
  await change("search", "signed", "input"); seen.secret = look();
  await change("search", "", "input"); await change("order", "slow", "change"); seen.slow = look();
  page.getElementById("pictures").click(); seen.pictures = page.querySelectorAll("img").length;
  document.getElementById("seen").textContent = JSON.stringify(seen);
};
</script>"""


class Site(ThreadingHTTPServer):
    """The report, its pictures, and what was asked for."""

    pages: dict[str, str]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    """Serves any picture and the pages that are there."""

    server: Site

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(self.path)
        body = PIXEL if path.endswith(".png") else self.server.pages.get(path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "image/png" if path.endswith(".png") else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if path == "/page.html":
            self.send_header("Content-Security-Policy", content_security_policy())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), Handler) as server:
        server.pages, server.asked = {"/drive.html": DRIVER, "/favicon.ico": " "}, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def jobs_of(pictures: str, *, hostile: bool = False) -> list[Job]:
    """A thousand jobs: one in twenty failed, some cancelled, one unfinished."""
    chance, jobs = random.Random(5), []
    for number in range(1000):
        failed = number % 20 == 7
        state = JobState.FAILED if failed else JobState.CANCELLED if number % 50 == 1 else JobState.SUCCEEDED
        code = ErrorCode.NO_FACE if number % 40 == 7 else ErrorCode.VENDOR_TIMEOUT
        text = HOSTILE[number % len(HOSTILE)] if hostile else f"order-{number}"
        began = BEGAN + timedelta(seconds=number * 0.1)
        took = 500.0 if number == 321 else chance.uniform(0.1, 20)
        jobs.append(
            Job(
                id=f"job{number}",
                state=state,
                tool="roop",
                tenant="default",
                priority="bulk",
                business_task_id=text,
                source_url=f"{pictures}/s.png?sig=signed&n={number % 5}",
                target_url=f"{pictures}/t.png?sig=signed",
                output_url=(text if hostile else f"{pictures}/o.png?sig=signed") if state == "succeeded" else None,
                error=JobError(code=code, message=text if hostile else "the reason") if failed else None,
                metadata={text: text} if hostile else {},
                created_at=BEGAN,
                started_at=began,
                finished_at=began + timedelta(seconds=took),
            )
        )
    return jobs


def page_of(jobs: list[Job]) -> str:
    counts = Counter(job.state for job in jobs)
    batch = Batch(
        id="spring",
        tenant="default",
        state="completed",
        total=len(jobs),
        counts={state: counts[state] for state in JobState},
        errors=Counter(job.error.code for job in jobs if job.error),
        created_at=BEGAN,
    )
    return "".join(report(batch, jobs, made_at=BEGAN))


def dump(url: str, folder: Path) -> tuple[str, list[str]]:
    """Return the page as it stands after its script has run, and what the browser's console was told."""
    result = subprocess.run(
        [
            *(find_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'browser'}", "--enable-logging=stderr", "--v=0"),
            *("--virtual-time-budget=10000", "--window-size=1200,900", "--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]


def test_a_thousand_jobs_are_paged_searched_and_ordered(site: Site, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{site.server_port}"
    site.pages["/page.html"] = page_of(jobs_of(url))
    text, console = dump(f"{url}/drive.html", tmp_path)
    match = re.search(r'<pre id="seen">(.*?)</pre>', text, re.DOTALL)
    assert match, text[-2000:]
    assert json.loads(unescape(match[1])) == {
        "start": ["1 to 50 of 1,000 jobs", 50, "order-0"],
        "next": ["51 to 100 of 1,000 jobs", 50, "order-50"],
        "failed": ["1 to 50 of 50 jobs (of 1,000)", 50, "order-7"],
        "code": ["1 to 25 of 25 jobs (of 1,000)", 25, "order-7"],
        "search": ["1 to 1 of 1 jobs (of 1,000)", 1, "order-777"],
        "secret": ["no such job (of 1,000)", 0, None],
        "slow": ["1 to 50 of 1,000 jobs", 50, "order-321"],
        "pictures": 0,
    }
    assert console == []
    assert "/o.png?sig=signed" in site.asked


def test_from_a_file_with_pictures_that_are_gone(tmp_path: Path) -> None:
    """Nothing listens at the pictures' address; that is told in their places."""
    (tmp_path / "report.html").write_text(page_of(jobs_of("http://127.0.0.1:1")), encoding="utf-8")
    text, console = dump(f"file://{tmp_path}/report.html", tmp_path)
    assert text.count('<tr role="row"><td') == 50
    assert "source: not there any more" in text
    assert [line for line in console if "Failed to load resource" not in line] == []


def test_nothing_hostile_runs(site: Site, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{site.server_port}"
    site.pages["/page.html"] = page_of(jobs_of(url, hostile=True))
    text, console = dump(f"{url}/page.html", tmp_path)
    assert "<title>Batch spring</title>" in text
    assert text.count('<tr role="row"><td') == 50
    assert "not a web address" in text
    assert "&lt;svg onload=" in text
    assert not re.search(r'(?:href|src)="(?!#list|http://127)', text)
    assert console == []
    assert {item.partition("?")[0] for item in site.asked} <= {"/page.html", "/s.png", "/t.png", "/favicon.ico"}
