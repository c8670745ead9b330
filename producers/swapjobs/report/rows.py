"""A job as a row of the report's table: what the page's script reads; `report.js` names the places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.fetched_urls import check_url
from swapjobs.contract.output import ImageOutput, as_text

if TYPE_CHECKING:
    from datetime import datetime

    from swapjobs.contract.job import Job

_LONGEST_TEXT: Final = 2000  # of what is shown of a text, or of JSON
_NOT_WEB: Final = "!"


def row_of(job: Job, *, pictures: bool) -> list[Any]:
    """Return what the page's script reads; `report.js` names the places."""
    given = [*job.input_urls[:2], ("", ""), ("", "")][:2]
    urls = [_web(url, pictures=pictures) for url in (given[0][1], given[1][1], job.output_url)]
    times = [_ms(at) for at in (job.created_at, job.started_at, job.finished_at, job.next_attempt_at)]
    error = (job.error.code.value, job.error.message) if job.error else ("", "")
    metadata = json.dumps(job.metadata, ensure_ascii=False) if job.metadata else ""
    facts = (job.id, job.business_task_id, job.state.value, *error, job.reason.value if job.reason else "")
    names = None if job.source_url else [name for name, _ in given]
    more = _more_outputs(job, pictures=pictures) or None
    return [*facts, job.failed_attempts, *times, *urls, job.tool, metadata, job.attempts, _webhook(job), names, more]


def _more_outputs(job: Job, *, pictures: bool) -> list[tuple[str, str]]:
    """Return what the job gave beside its first picture: more pictures, texts, and other answers as JSON."""
    more: list[tuple[str, str]] = []
    for output in job.outputs:
        match output:
            case ImageOutput(url=url):
                more.append(("image", _web(url, pictures=pictures)))
            case _:
                more.append((output.kind, as_text(output)[:_LONGEST_TEXT]))
    first = next((number for number, (kind, _) in enumerate(more) if kind == "image"), None)
    return more if first is None else more[:first] + more[first + 1 :]


def _webhook(job: Job) -> str:
    """Return how the job's webhook stands, with the last answer or what else was wrong where it was not taken."""
    if job.webhook is None or job.webhook.state == "none":
        return ""
    status, wrong = job.webhook.last_status, job.webhook.last_error
    if job.webhook.state == "delivered" or not (status or wrong):
        return job.webhook.state
    return f"{job.webhook.state}, HTTP {status}" if status else f"{job.webhook.state}: {wrong}"


def _web(url: str | None, *, pictures: bool) -> str:
    """Return a URL that may be loaded and linked to, or a mark where it is of another kind."""
    if not url:
        return ""
    try:
        check_url(url)
    except ValueError:
        return _NOT_WEB
    return url if pictures else url.partition("#")[0].partition("?")[0]


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None
