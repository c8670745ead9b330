"""The command retry: finished failures run again, by id or by what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import JsonFlag, err, out, print_error, print_json
from swapjobs.cli.submit_batch.command import Encoding, IgnoreUnknown, MapColumns, reading_of
from swapjobs.cli.submit_batch.source import opened
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import (
    ErrorCode,
    IdempotencyConflict,
    InvalidRequest,
    JobNotFound,
    NotRetryable,
    SwapjobsError,
)
from swapjobs.contract.job import job_id
from swapjobs.contract.request import parse_request
from swapjobs.ingest.row_reader import read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.ingest.row_reader import Reading

_NOT_RETRYABLE, _NOT_FOUND = 1, 3

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="as submit printed them, or your own business_task_ids", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(retry)


def retry(
    ids: Ids = None,
    *,
    batch_id: Annotated[str | None, typer.Option("--batch", "--batch-id", help="the failed jobs of this batch")] = None,
    error_code: Annotated[
        ErrorCode | None, typer.Option(metavar="CODE", help="the jobs that failed with this code")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="the failed jobs of this tenant; beside ids, whose business_task_ids they are")
    ] = None,
    from_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="rows as for submit-batch: these jobs, with the URLs given there")
    ] = None,
    map_columns: MapColumns = None,
    ignore_unknown: IgnoreUnknown = False,
    encoding: Encoding = None,
    as_json: JsonFlag = False,
) -> None:
    """Let failed jobs run again, with new attempts; the old ones stay in the history.

    Give ids, also of cancelled and expired jobs, or at least one option: jobs for which all that is given holds; or
    --from-file, where presigned URLs have died: the same pictures under a new signature.
    Exit status 1 when one of the ids is in no state to be retried, 3 when one is unknown; the others are retried.
    """
    with_tenant = tenant is not None and not ids and from_file is None
    by_criteria = batch_id is not None or error_code is not None or with_tenant
    if [bool(ids), from_file is not None, by_criteria].count(True) != 1:
        raise InvalidRequest("give ids, or --from-file, or at least one of --batch, --error-code and --tenant")
    reading = reading_of(map_columns, encoding, ignore_unknown=ignore_unknown)
    wanted: dict[str, dict[str, str]] = {id_: {} for id_ in ids or ()}
    if from_file is not None:
        wanted = _from_file(from_file, tenant or "default", reading)
    with SwapClient() as client:
        if not by_criteria:
            raise typer.Exit(_retry_each(client, wanted, tenant or "default", as_json=as_json))
        retried = 0
        try:
            for id_ in client.retry_many(batch_id=batch_id, error_code=error_code, tenant=tenant):
                retried += 1
                if as_json:
                    print_json({"id": id_, "outcome": "retried", "error": None})
        except (KeyboardInterrupt, SwapjobsError):
            err.print(f"stopped: {retried} retried; they stay so", soft_wrap=True)
            raise
    if not as_json:
        out.print(f"{retried} retried", soft_wrap=True)


def _from_file(name: str, tenant: str, reading: Reading) -> dict[str, dict[str, str]]:
    """Return the jobs of a file's rows by id, each with its URLs.

    Raises:
        InvalidRequest: a row can't be read, or names no job; nothing is retried then.
    """
    result = {}
    with opened(name) as stream:
        for row in read_rows(stream, name, reading=reading):
            if isinstance(row.content, str):
                raise InvalidRequest(f"{name}, line {row.line}: {row.content}")
            try:
                request = parse_request({"tenant": tenant, **row.content})
            except InvalidRequest as error:
                raise InvalidRequest(f"{name}, line {row.line}: {error}") from None
            if request.business_task_id is None:
                raise InvalidRequest(f"{name}, line {row.line}: has no business_task_id, by which its job is found")
            result[job_id(request.tenant, request.business_task_id)] = request.tool_input.urls_by_name()
    return result


def _retry_each(client: SwapClient, wanted: Mapping[str, Mapping[str, str]], tenant: str, *, as_json: bool) -> int:
    """Retry these jobs, tell of each that could not be, and return the exit status."""
    status = retried = 0
    for id_, urls in wanted.items():
        problem: NotRetryable | JobNotFound | IdempotencyConflict | None = None
        try:
            client.retry(id_, tenant=tenant, **urls)
            retried += 1
        except (NotRetryable, JobNotFound, IdempotencyConflict) as error:
            problem = error
            print_error(error.code, str(error))
            status = max(status, _NOT_FOUND if isinstance(error, JobNotFound) else _NOT_RETRYABLE)
        if as_json:
            outcome = problem.code if problem else "retried"
            print_json({"id": id_, "outcome": outcome, "error": str(problem) if problem else None})
    if not as_json:
        left = len(wanted) - retried
        out.print(f"{retried} retried" + (f", {left} not" if left else ""), soft_wrap=True)
    return status
