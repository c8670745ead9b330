"""The command submit-batch: a CSV or JSON lines file of any length, line by line."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import YEAR_S, JsonFlag, out
from swapjobs.cli.submit_batch.progress_file import SUFFIX, ProgressFile
from swapjobs.cli.submit_batch.run import Patience, Run
from swapjobs.cli.submit_batch.source import opened, progress_of
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.job import SwapRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


RowsFile = Annotated[str, typer.Argument(metavar="FILE|-", help="- is standard input", show_default=False)]
MaxQueued = Annotated[int | None, typer.Option(min=1, help="wait while so many jobs are queued")]
GiveUpS = Annotated[
    float, typer.Option("--give-up-after", min=0, max=YEAR_S, help="seconds to wait for Redis when it goes away")
]
ProgressPath = Annotated[
    Path | None, typer.Option(help=f"where it is kept how far it is: FILE{SUFFIX}", show_default=False)
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
    max_queued: MaxQueued = None,
    give_up_s: GiveUpS = 600,
    progress_file: ProgressPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Submit many jobs from a CSV file with a header, or from JSON lines.

    Columns and keys are those of `submit`, with underscores: source_url, target_url, business_task_id, ... Bad lines
    are reported with their line number, the good ones are kept; then the exit status is 1. Give every line a
    business_task_id, and the same file can be submitted again without making a job twice.

    A run that was stopped or killed is gone on with by the same command: how far it is stands in FILE.progress, which
    is removed at the end. Standard input cannot be gone on with.
    """
    options = {"tenant": tenant, "priority": priority, "callback_url": callback_url, "batch_id": batch_id}
    given = {name: value for name, value in options.items() if value is not None}
    SwapRequest.parse({"source_url": "https://any.example", "target_url": "https://any.example", **given})
    with submission(file, given, progress_file, give_up_s) as (client, stream, progress, patience):
        run = Run(client, given, progress, patience)
        carry_out(run, stream, file, max_queued, progress=progress, as_json=as_json)
    raise typer.Exit(run.status)


@contextmanager
def submission(
    file: str, options: dict[str, str], progress_file: Path | None, give_up_s: float
) -> Iterator[tuple[SwapClient, BufferedReader, ProgressFile | None, Patience]]:
    """Open what a file is submitted with; at a good end the progress file goes."""
    with ExitStack() as stack:
        stream = stack.enter_context(opened(file))
        progress = progress_of(file, stream, options, progress_file)
        if progress:
            stack.enter_context(progress)
        client = stack.enter_context(SwapClient())
        yield client, stream, progress, Patience(give_up_s)
        out.file.flush()
        if progress:
            progress.remove()  # the last thing: a kill before it only repeats the lines above


def carry_out(
    run: Run, stream: BufferedReader, file: str, max_queued: int | None, *, progress: ProgressFile | None, as_json: bool
) -> None:
    """Submit the rows and say how many there were; a run that came to nothing leaves no progress file."""
    try:
        run.go(stream, file, max_queued, as_json=as_json)
    except BaseException:
        if progress and progress.is_new and not run.began:
            progress.remove()
        raise
    if not as_json:
        out.print(run.summary(), soft_wrap=True)
