"""The commands batch ...: groups of jobs, as the gateway's routes of batches."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from swapjobs.cli.batch_view import Watching, print_batch, status_of, tell_of_other_batches, tell_what_to_do
from swapjobs.cli.output import JsonFlag, err, out, print_fields
from swapjobs.cli.refused_address import warn_of_refusal
from swapjobs.cli.submit_batch.command import (
    Encoding,
    GiveUpS,
    IgnoreUnknown,
    MapColumns,
    MaxQueued,
    ProgressPath,
    RowsFile,
    carry_out,
    reading_of,
    submission,
)
from swapjobs.cli.submit_batch.progress_file import new_run
from swapjobs.cli.submit_batch.run import Run
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.request import SwapRequest
from swapjobs.report.page import jobs_of, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from swapjobs.contract.batch import Batch

_PAGE: Final = 200

app = typer.Typer(help="Groups of jobs: submit a file as one, watch it, steer it, and make its report.")
BatchId = Annotated[str, typer.Argument(metavar="ID", help="of the batch", show_default=False)]
Tenant = Annotated[str, typer.Option(help="whose batch it is")]
IntervalS = Annotated[float, typer.Option("--interval", min=0.1, max=3600, help="seconds between looks, with --watch")]


def register(main: typer.Typer) -> None:
    """Add these commands."""
    main.add_typer(app, name="batch")


@app.command()
def submit(
    file: RowsFile,
    *,
    batch_id: Annotated[str | None, typer.Option(help="the same id again goes on with the same batch")] = None,
    tenant: Tenant = "default",
    priority: Annotated[str, typer.Option(help="for lines that name none")] = "bulk",
    callback_url: Annotated[str | None, typer.Option(help="is told when the batch is completed")] = None,
    keep_open: Annotated[bool, typer.Option("--keep-open", help="do not close it: more jobs may come")] = False,
    map_columns: MapColumns = None,
    ignore_unknown: IgnoreUnknown = False,
    encoding: Encoding = None,
    max_queued: MaxQueued = None,
    give_up_s: GiveUpS = 600,
    progress_file: ProgressPath = None,
    as_json: JsonFlag = False,
) -> None:
    """Submit a file as one batch, and close it at the end, unless a line came to nothing.

    The file is as for `submit-batch`, and a stopped run is gone on with as there. A line without a business_task_id
    gets <batch id>-<line> for one, so the same file for the same --batch-id makes no job twice, at any time.
    With --json one line for each row, and at the end the batch.
    """
    options = {"tenant": tenant, "priority": priority, "batch_id": batch_id, "callback_url": callback_url}
    given = {name: value for name, value in options.items() if value is not None}
    SwapRequest.parse({"source_url": "https://any.example", "target_url": "https://any.example", **given})
    reading = reading_of(map_columns, encoding, ignore_unknown=ignore_unknown)
    with submission(file, given, reading, progress_file, give_up_s) as (client, source, progress, patience):
        id_ = batch_id or f"batch-{progress.state.run if progress else new_run()}"
        try:
            batch = patience(lambda: client.batches.open(id_, tenant=tenant, callback_url=callback_url))
        except BaseException:
            if progress and progress.is_new:
                progress.remove()
            raise
        bound = {"tenant": tenant, "batch_id": batch.id}
        run = Run(client, {"priority": priority}, progress, patience, batch=bound)
        err.print(f"batch {batch.id}", markup=False, soft_wrap=True)
        warn_of_refusal(callback_url)
        carry_out(run, source, max_queued, progress=progress, as_json=as_json)
        if run.status and batch.state == "open":
            tell_what_to_do(batch)
        elif not keep_open:
            batch = patience(lambda: client.batches.close(batch.id, tenant=tenant))
        if run.counts["existing"]:
            tell_of_other_batches(run.counts, patience(lambda: client.batches.get(batch.id, tenant=tenant)))
        if as_json:
            print_batch(batch, as_json=True)
    raise typer.Exit(run.status)


@app.command()
def show(
    batch_id: BatchId,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="go on until it is completed")] = False,
    interval_s: IntervalS = 1,
    tenant: Tenant = "default",
    as_json: JsonFlag = False,
) -> None:
    """Show how a batch stands: jobs by state and error code, rate, expected end.

    With --watch until it is completed; where nobody looks at a terminal, and with --json, one line for each change.
    Then the exit status is 1 when a job failed, was cancelled or has expired.
    """
    with SwapClient() as client:
        batch = client.batches.get(batch_id, tenant=tenant)
        if not watch:
            print_batch(batch, as_json=as_json)
            return
        with Watching(as_json=as_json) as watching:
            watching.show(batch)
            while batch.state != "completed":
                time.sleep(interval_s)
                batch = client.batches.get(batch_id, tenant=tenant)
                watching.show(batch)
    if not as_json:
        print_batch(batch, as_json=False)
    raise typer.Exit(status_of(batch))


@app.command("list")
def list_batches(*, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """List the batches of a tenant, newest first."""
    cursor, result = None, 0
    with SwapClient() as client:
        while True:
            batches, cursor = client.batches.list(tenant=tenant, cursor=cursor, limit=_PAGE)
            for batch in batches:
                result += 1
                if as_json:
                    print_batch(batch, as_json=True)
                else:
                    final = f"{batch.total - _unfinished(batch)} of {batch.total} finished"
                    print_fields(out, (batch.id, 32, "bold"), (batch.state, 9, ""), (final, 0, ""))
            if cursor is None:
                break
    if not result and not as_json:
        out.print(f"no batches of tenant {tenant}", markup=False, soft_wrap=True)


@app.command()
def close(batch_id: BatchId, *, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """Let a batch take no more jobs: once all are final it is completed."""
    _steer(lambda client: client.batches.close(batch_id, tenant=tenant), as_json=as_json)


@app.command()
def pause(batch_id: BatchId, *, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """Start none of a batch's jobs until `resume`; those that run go on."""
    _steer(lambda client: client.batches.pause(batch_id, tenant=tenant), as_json=as_json)


@app.command()
def resume(batch_id: BatchId, *, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """Let a paused batch's jobs start again."""
    _steer(lambda client: client.batches.resume(batch_id, tenant=tenant), as_json=as_json)


@app.command()
def cancel(batch_id: BatchId, *, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """Cancel all jobs of a batch that are not final."""
    _steer(lambda client: client.batches.cancel(batch_id, tenant=tenant), as_json=as_json)


@app.command()
def retry(
    batch_id: BatchId,
    *,
    error_code: Annotated[
        ErrorCode | None, typer.Option(metavar="CODE", help="only the jobs that failed with this code")
    ] = None,
    tenant: Tenant = "default",
    as_json: JsonFlag = False,
) -> None:
    """Let a batch's failed jobs run again, in a new round."""
    _steer(lambda client: client.batches.retry(batch_id, tenant=tenant, error_code=error_code), as_json=as_json)


@app.command("report")
def make_report(
    batch_id: BatchId,
    *,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="batch-ID.html; - is standard output")
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="with them, whole URLs with their signatures are in it")
    ] = True,
    tenant: Tenant = "default",
) -> None:
    """Write a batch's report: one HTML page with figures, charts and a list of its jobs, for any browser."""
    with SwapClient() as client:
        batch = client.batches.get(batch_id, tenant=tenant)
        path = output or Path(f"batch-{batch.id}.html")
        with _written(path) as file:
            for piece in report(batch, jobs_of(client, batch.id, tenant=tenant), pictures=pictures):
                file.write(piece)
    if str(path) != "-":
        err.print(f"{path} is written", markup=False, soft_wrap=True)


def _steer(action: Callable[[SwapClient], Batch], *, as_json: bool) -> None:
    with SwapClient() as client:
        print_batch(action(client), as_json=as_json)


def _unfinished(batch: Batch) -> int:
    return sum(count for state, count in batch.counts.items() if state in {"queued", "running", "waiting"})


@contextmanager
def _written(path: Path) -> Iterator[IO[str]]:
    """Write a file as a whole or not at all: a report that was cut off halfway would look like a small one."""
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InvalidRequest(f"-o {path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
