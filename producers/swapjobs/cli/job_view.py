"""One job as the command line shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swapjobs.cli.output import out, print_fields, print_json, state_style
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.output import ImageOutput, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swapjobs.contract.attempt import Attempt
    from swapjobs.contract.job import Job


def print_job(job: Job, *, as_json: bool, history: Sequence[Attempt] | None = None) -> None:
    """Print a job; with the attempts at it, if they are given."""
    if as_json:
        attempts = {} if history is None else {"history": [item.model_dump(mode="json") for item in history]}
        print_json(job.model_dump(mode="json") | attempts)
        return
    said_elsewhere = {"outputs", *(["input"] if job.source_url else [])}
    fields = job.model_dump(mode="json", exclude=said_elsewhere)
    shown = {name: value for name, value in fields.items() if value not in (None, {}, [])}
    for name, value in shown.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        style = state_style(job.state) if name == "state" else ""
        print_fields(out, (name, len("business_task_id"), "dim"), (text, 0, style))
    for output in job.outputs:
        if not (isinstance(output, ImageOutput) and output.url == job.output_url):
            print_fields(out, ("output", len("business_task_id"), "dim"), (as_text(output), 0, ""))
    for attempt in history or ():
        print_fields(out, ("attempt", len("business_task_id"), "dim"), (_attempt_text(attempt), 0, ""))


def _attempt_text(attempt: Attempt) -> str:
    parts = [
        f"{attempt.number}" + (f" of round {attempt.round}" if attempt.round > 1 else ""),
        f"{attempt.began_at:%Y-%m-%d %H:%M:%S}" if attempt.began_at else "",
        f"{(attempt.ended_at - attempt.began_at).total_seconds():.1f} s"
        if attempt.began_at and attempt.ended_at
        else "",
        attempt.outcome,
        attempt.code or "",
        f"HTTP {attempt.http_status}" if attempt.http_status else "",
        attempt.worker or "",
        attempt.message or "",
    ]
    return "  ".join(filter(None, parts))


def status_of(job: Job) -> int:
    """Return the exit status that tells how the job ended: 0 unless it failed, was cancelled or expired."""
    return 1 if job.state in {JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED} else 0
