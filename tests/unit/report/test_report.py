"""The report of a batch: whatever is in a job, the page stays the page; the figures are right; memory is constant."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swapjobs.contract.batch import Batch
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import Job, JobError
from swapjobs.contract.lifecycle import JobState
from swapjobs.report.charts import duration
from swapjobs.report.figures import Durations, Figures, Timeline
from swapjobs.report.page import content_security_policy, report

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "</script ><script >document.title='owned'</script >",
    "<!--<script>",
    "\"'><img src=x onerror=document.title='owned'>",
    "]]>\u2028\u2029\x00&lt;script&gt;",
    "javascript:document.title='owned'",
)


def make_job(number: int = 0, **fields: Any) -> Job:
    given: dict[str, Any] = {
        "id": f"job{number}",
        "state": JobState.SUCCEEDED,
        "tool": "roop",
        "tenant": "default",
        "priority": "bulk",
        "business_task_id": f"order-{number}",
        "source_url": f"https://a.example/s-{number}.jpg?X-Amz-Signature=signed",
        "target_url": "https://a.example/t.jpg?X-Amz-Signature=signed",
        "output_url": "https://cdn.example/o.jpg?sig=signed#part",
        "created_at": BEGAN,
        "started_at": BEGAN + timedelta(seconds=2),
        "finished_at": BEGAN + timedelta(seconds=2 + number % 50),
    }
    return Job.model_validate({**given, **fields})


def make_batch(jobs: list[Job], **fields: Any) -> Batch:
    counts = Counter(job.state for job in jobs)
    given: dict[str, Any] = {
        "id": "spring",
        "tenant": "default",
        "state": "completed",
        "total": len(jobs),
        "counts": {state: counts[state] for state in JobState},
        "errors": Counter(job.error.code for job in jobs if job.error),
        "created_at": BEGAN,
    }
    return Batch.model_validate({**given, **fields})


def page_of(jobs: list[Job], *, pictures: bool = True) -> str:
    return "".join(report(make_batch(jobs), jobs, pictures=pictures, made_at=BEGAN))


class Page(HTMLParser):
    """What a parser sees: elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input", "rect", "i"}:
            self.open.append(tag)
        if tag in {"script", "style"}:
            self.raw.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"rect", "i"}:
            return
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"}:
            attributes, text = self.raw[-1]
            self.raw[-1] = attributes, text + data

    @property
    def rows(self) -> list[list[Any]]:
        return [row for attributes, text in self.raw if attributes.get("class") == "data" for row in json.loads(text)]


def asset(kind: str) -> str:
    return (files("swapjobs.report") / f"report.{kind}").read_text(encoding="utf-8")


def assert_is_harmless(page: Page) -> None:
    """Nothing runs but the page's own script, nothing is loaded or linked to, nothing has a handler or a style."""
    code = [text for attributes, text in page.raw if attributes.get("type") != "application/json"]
    assert code == [asset("css"), asset("js")]
    data = [text for attributes, text in page.raw if attributes.get("type") == "application/json"]
    assert not set("<>&") & set("".join(data))  # nothing in them can end their element, whatever the browser's rules
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style", "srcdoc", "action"}}
    assert [attributes["href"] for _, attributes in page.elements if "href" in attributes] == ["#list"]
    assert not {"iframe", "object", "embed", "base", "link", "img"} & {tag for tag, _ in page.elements}


@settings(max_examples=40)
@given(st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_whatever_a_job_carries_is_data_and_nothing_else(text: str) -> None:
    error = JobError(code=ErrorCode.NO_FACE, message=text)
    job = make_job(business_task_id=text, metadata={text: text}, output_url=text, error=error, state=JobState.FAILED)
    page = Page(page_of([job]))
    assert_is_harmless(page)
    assert not page.open
    (row,) = page.rows
    assert (row[1], row[4], json.loads(row[15])) == (text, text, {text: text})
    assert row[13] in {"", "!"}


def test_a_hostile_batch_is_escaped() -> None:
    """Its id is a plain name by contract; the tenant comes from settings, so it is not trusted either."""
    batch = make_batch([], tenant=HOSTILE[0])
    page = Page("".join(report(batch, [], made_at=BEGAN)))
    assert_is_harmless(page)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "https://user:pw@a.example/", "//a.example/x", "file:///etc/x"]
)
def test_what_is_no_web_address_is_no_picture(url: str) -> None:
    assert Page(page_of([make_job(output_url=url)])).rows[0][13] == "!"


def test_without_pictures_nothing_signed_is_in_the_page_and_nothing_may_be_loaded() -> None:
    text = page_of([make_job()], pictures=False)
    assert "signed" not in text
    assert "img-src &#x27;none&#x27;" in text
    assert "img-src 'none'" in content_security_policy(pictures=False)
    assert page_of([make_job()]).count("X-Amz-Signature=signed") == 2


def test_the_policy_lets_no_insecure_picture_into_a_secure_page() -> None:
    assert "img-src https:;" in content_security_policy(insecure=False)
    assert "unsafe" not in content_security_policy()


def test_jobs_that_have_no_record_any_more_are_told() -> None:
    jobs = [make_job(number) for number in range(3)]
    text = "".join(report(make_batch(jobs, total=10), jobs, made_at=BEGAN))
    assert "7 of 10 jobs are not listed: their records have expired." in text


def test_an_empty_batch_has_a_page_too() -> None:
    text = page_of([])
    assert_is_harmless(Page(text))
    assert "No job failed." in text
    assert "No job is finished yet." in text


@pytest.mark.slow
def test_memory_is_the_same_for_any_number_of_jobs() -> None:
    """It is written as a stream: 4,000 jobs more would be some 4 MB."""

    def jobs(count: int) -> Iterator[Job]:
        return (make_job(number) for number in range(count))

    def peak(count: int) -> int:
        batch = make_batch([], total=count)
        tracemalloc.start()
        for _ in report(batch, jobs(count), made_at=BEGAN):
            pass
        _, limit = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return limit

    peak(500)
    assert peak(6000) < peak(2000) + 100_000


def test_every_job_is_in_the_page_once_and_in_order() -> None:
    jobs = [make_job(number) for number in range(1234)]
    assert [row[0] for row in Page(page_of(jobs)).rows] == [job.id for job in jobs]


@given(st.lists(st.floats(0.002, 1e6), min_size=1, max_size=50))
def test_quantiles_are_right_to_five_percent(seconds: list[float]) -> None:
    durations = Durations()
    for second in seconds:
        durations.add(second)
    median = sorted(seconds)[(len(seconds) + 1) // 2 - 1]
    result = durations.quantile(0.5)
    assert result is not None
    assert median * 0.999 <= result <= median * 1.051


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_the_timeline_keeps_every_job_in_its_slot(offsets: list[int]) -> None:
    timeline = Timeline()
    for offset in offsets:
        timeline.add(BEGAN + timedelta(seconds=offset), JobState.SUCCEEDED)
    bars = timeline.bars()
    assert len(bars) <= 120
    for number, (begin, counts) in enumerate(bars):
        inside = [item for item in offsets if 0 <= (BEGAN.timestamp() + item) - begin.timestamp() < timeline.width_s]
        assert counts.total() == len(inside), number
    assert sum(counts.total() for _, counts in bars) == len(offsets)


def test_unfinished_jobs_count_for_their_state_only() -> None:
    counted = Figures()
    counted.add(make_job(state=JobState.QUEUED, started_at=None, finished_at=None))
    assert (counted.finished, counted.seconds, counted.timeline.bars()) == (0, None, [])


@pytest.mark.parametrize(
    ("seconds", "output"),
    [
        (None, "?"),
        (0.0, "0.01 s"),
        (0.421, "0.42 s"),
        (9.96, "10 s"),
        (61, "1 min 1 s"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
    ],
)
def test_spans_are_told_as_people_write_them(seconds: float | None, output: str) -> None:
    assert duration(seconds) == output
