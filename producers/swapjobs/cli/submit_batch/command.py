"""The command submit-batch: a CSV or JSON lines file of any length, line by line."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import YEAR_S, JsonFlag, out
from swapjobs.cli.refused_address import warn_of_refusal
from swapjobs.cli.submit_batch.progress_file import SUFFIX, ProgressFile
from swapjobs.cli.submit_batch.run import Patience, Run
from swapjobs.cli.submit_batch.source import Source, opened, progress_of
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.request import SwapRequest
from swapjobs.ingest.columns import Columns
from swapjobs.ingest.line_reader import check_encoding
from swapjobs.ingest.row_reader import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator


RowsFile = Annotated[str, typer.Argument(metavar="FILE|-", help="- is standard input", show_default=False)]
MaxQueued = Annotated[int | None, typer.Option(min=1, help="wait while so many jobs are queued")]
GiveUpS = Annotated[
    float, typer.Option("--give-up-after", min=0, max=YEAR_S, help="seconds to wait for Redis when it goes away")
]
ProgressPath = Annotated[
    Path | None, typer.Option(help=f"where it is kept how far it is: FILE{SUFFIX}", show_default=False)
]
MapColumns = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="OWN=FIELD", help="a column of your own, like url=source_url or sku=metadata.sku"),
]
IgnoreUnknown = Annotated[bool, typer.Option("--ignore-unknown", help="leave out columns that are no field")]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="where the file is not in UTF-8 or UTF-16, like windows-1252")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit_batch)


def submit_batch(
    file: RowsFile,
    *,
    tenant: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    priority: Annotated[str, typer.Option(help="for lines that name none")] = "bulk",
    callback_url: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    batch_id: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    map_columns: MapColumns = None,
    ignore_unknown: IgnoreUnknown = False,
    encoding: Encoding = None,
    max_queued: MaxQueued = None,
    give_up_s: GiveUpS = 600,
    progress_file: ProgressPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Submit many jobs from a CSV file with a header, or from JSON lines.

    Columns and keys are those of `submit`, with underscores: source_url, target_url, business_task_id, ...; --map and
    --ignore-unknown take others. Commas, semicolons, tabs or bars separate cells, and blank rows are passed over: files
    are read as spreadsheets write them. Bad lines are reported with their line number, the good ones are kept; then the
    exit status is 1. Give every line a business_task_id, and the same file can be submitted again without making a job
    twice.

    A run that was stopped or killed is gone on with by the same command: how far it is stands in FILE.progress, which
    is removed at the end. Standard input cannot be gone on with.
    """
    options = {"tenant": tenant, "priority": priority, "callback_url": callback_url, "batch_id": batch_id}
    given = {name: value for name, value in options.items() if value is not None}
    SwapRequest.parse({"source_url": "https://any.example", "target_url": "https://any.example", **given})
    reading = reading_of(map_columns, encoding, ignore_unknown=ignore_unknown)
    with submission(file, given, reading, progress_file, give_up_s) as (client, source, progress, patience):
        warn_of_refusal(callback_url)
        run = Run(client, given, progress, patience)
        carry_out(run, source, max_queued, progress=progress, as_json=as_json)
    raise typer.Exit(run.status)


def reading_of(map_columns: list[str] | None, encoding: str | None, *, ignore_unknown: bool) -> Reading:
    """Return how the file is read.

    Raises:
        InvalidRequest: one of the options says nothing that can be meant.
    """
    columns = Columns.parse(map_columns or (), ignore_unknown=ignore_unknown)
    return Reading(columns, check_encoding(encoding) if encoding else None)


@contextmanager
def submission(
    file: str, options: dict[str, str], reading: Reading, progress_file: Path | None, give_up_s: float
) -> Iterator[tuple[SwapClient, Source, ProgressFile | None, Patience]]:
    """Open what a file is submitted with; at a good end the progress file goes."""
    with ExitStack() as stack:
        source = Source(file, stack.enter_context(opened(file)), reading)
        progress = progress_of(source, {**options, **source.options}, progress_file)
        if progress:
            stack.enter_context(progress)
        client = stack.enter_context(SwapClient())
        yield client, source, progress, Patience(give_up_s)
        out.file.flush()
        if progress:
            progress.remove()  # the last thing: a kill before it only repeats the lines above


def carry_out(
    run: Run, source: Source, max_queued: int | None, *, progress: ProgressFile | None, as_json: bool
) -> None:
    """Submit the rows and say how many there were; a run that came to nothing leaves no progress file."""
    try:
        run.go(source, max_queued, as_json=as_json)
    except BaseException:
        if progress and progress.is_new and not run.began:
            progress.remove()
        raise
    if not as_json:
        out.print(run.summary(), soft_wrap=True)
