"""How a batch is shown: as fields, as JSON, or live while it is worked on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swapjobs.cli.output import err, out, plain, print_fields, print_json, state_style
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.report.charts import duration
from swapjobs.report.figures import STATES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from swapjobs.contract.batch import Batch
    from swapjobs.ingest.submitter import Outcome

_WIDTH: Final = len("callback_url")


def print_batch(batch: Batch, *, as_json: bool) -> None:
    """Print a batch."""
    if as_json:
        print_json(batch.model_dump(mode="json"))
        return
    for name, text in _fields(batch):
        print_fields(out, (name, _WIDTH, "dim"), (text, 0, "bold" if name == "batch" else ""))


def status_of(batch: Batch) -> int:
    """Return the exit status that tells how a batch ended: 0 when all succeeded."""
    return 0 if finished(batch) == batch.counts.get(JobState.SUCCEEDED, 0) else 1


def finished(batch: Batch) -> int:
    """Return how many of its jobs are final."""
    return sum(count for state, count in batch.counts.items() if state in FINAL)


class Watching:
    """Shows a batch again and again: live on a terminal, else a line for each change. A context manager."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._live = Live(console=err, transient=True, auto_refresh=False) if err.is_terminal and not as_json else None
        self._last: Any = None

    def show(self, batch: Batch) -> None:
        """Show how it stands now."""
        if self._live:
            self._live.update(_picture(batch), refresh=True)
            return
        shown = (batch.state, batch.paused, batch.round, batch.counts)
        if shown == self._last:
            return
        self._last = shown
        if self._as_json:
            print_batch(batch, as_json=True)
        else:
            err.print(f"{batch.id}: {_summary(batch)}", markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()


def _fields(batch: Batch) -> Iterator[tuple[str, str]]:
    yield "batch", batch.id
    yield "state", ", ".join(filter(None, (batch.state, "paused" if batch.paused else "", _doing(batch))))
    if batch.round > 1:
        yield "round", str(batch.round)
    yield "jobs", f"{batch.total}: {_counts(batch)}" if batch.total else "none"
    for code, count in sorted(batch.errors.items(), key=lambda item: -item[1]):
        yield "", f"{count} {code.value}"
    if batch.rate_per_s:
        yield "rate", f"{batch.rate_per_s:.3g}/s"
    if batch.estimated_end and batch.state != "completed":
        yield "expected end", _time(batch.estimated_end)
    times = (("created", batch.created_at), ("closed", batch.closed_at), ("completed", batch.completed_at))
    yield from ((name, _time(at)) for name, at in times if at)
    if batch.callback_url:
        yield "callback_url", batch.callback_url.partition("?")[0]


def _picture(batch: Batch) -> Group:
    """Return what a terminal shows while a batch is worked on."""
    done = finished(batch)
    head = Text.assemble((plain(batch.id), "bold"), f"  {_summary(batch)}")
    grid = Table.grid(padding=(0, 2))
    for state in STATES:
        if batch.counts.get(state):
            grid.add_row(Text(state.value, state_style(state)), f"{batch.counts[state]:,}")
    for code, count in sorted(batch.errors.items(), key=lambda item: -item[1]):
        grid.add_row(Text(f"  {code.value}", "dim"), Text(f"{count:,}", "dim"))
    return Group(head, ProgressBar(total=max(batch.total, 1), completed=done, width=40), grid)


def _summary(batch: Batch) -> str:
    done = finished(batch)
    share = f"{done:,} of {batch.total:,} finished" + (f" ({100 * done // batch.total} %)" if batch.total else "")
    rate = f"{batch.rate_per_s:.3g}/s" if batch.rate_per_s and batch.state != "completed" else ""
    left = ""
    if batch.estimated_end and done < batch.total:
        left = f"about {duration((batch.estimated_end - datetime.now(UTC)).total_seconds())} left"
    parts = (batch.state, "paused" if batch.paused else "", _doing(batch), share, rate, left)
    return ", ".join(filter(None, parts))


def _doing(batch: Batch) -> str:
    return f"{batch.operation} under way" if batch.operation else ""


def _counts(batch: Batch) -> str:
    return ", ".join(f"{batch.counts[state]} {state.value}" for state in STATES if batch.counts.get(state))


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def tell_what_to_do(batch: Batch) -> None:
    """Say what becomes of a batch that stays open for its lines that came to nothing."""
    options = "" if batch.tenant == "default" else f" --tenant {batch.tenant}"
    text = (
        f"batch {batch.id} stays open: correct the lines that came to nothing and submit the file again with"
        f" --batch-id {batch.id}, or close it: swapjobs batch close {batch.id}{options}"
    )
    err.print(text, markup=False, soft_wrap=True)


def tell_of_other_batches(counts: Counter[Outcome], batch: Batch) -> None:
    """Say how many rows added nothing to the batch: as a job that exists stays where it is, it may stay empty."""
    elsewhere = counts["created"] + counts["existing"] - batch.total
    if elsewhere > 0:
        what = "1 row is no job" if elsewhere == 1 else f"{elsewhere} rows are no jobs"
        text = (
            f"{what} of batch {batch.id}: the business_task_id has a job already, which stays in the batch that it was"
            " submitted with, if any (swapjobs status ID tells it)"
        )
        err.print(text, markup=False, soft_wrap=True)
