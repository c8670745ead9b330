"""The command retry: finished failures run again, by id or by what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import JsonFlag, err, out, print_error, print_json
from swapjobs.client import SwapClient
from swapjobs.errors import ErrorCode, InvalidRequest, JobNotFound, NotRetryable, SwapjobsError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_RETRYABLE, _NOT_FOUND = 1, 3

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="as submit printed them", show_default=False)]


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
    tenant: Annotated[str | None, typer.Option(help="the failed jobs of this tenant")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Let failed jobs run again, with new attempts; the old ones stay in the history.

    Give ids, also of cancelled and expired jobs, or at least one option: jobs for which all that is given holds.
    Exit status 1 when one of the ids is in no state to be retried, 3 when one is unknown; the others are retried.
    """
    by_criteria = not (batch_id is None and error_code is None and tenant is None)
    if bool(ids) == by_criteria:
        raise InvalidRequest("give either ids or at least one of --batch, --error-code and --tenant")
    with SwapClient() as client:
        if ids:
            raise typer.Exit(_retry_each(client, list(dict.fromkeys(ids)), as_json=as_json))
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


def _retry_each(client: SwapClient, ids: Sequence[str], *, as_json: bool) -> int:
    """Retry these jobs, tell of each that could not be, and return the exit status."""
    status = retried = 0
    for id_ in ids:
        problem: NotRetryable | JobNotFound | None = None
        try:
            client.retry(id_)
            retried += 1
        except (NotRetryable, JobNotFound) as error:
            problem = error
            print_error(error.code, str(error))
            status = max(status, _NOT_FOUND if isinstance(error, JobNotFound) else _NOT_RETRYABLE)
        if as_json:
            outcome = problem.code if problem else "retried"
            print_json({"id": id_, "outcome": outcome, "error": str(problem) if problem else None})
    if not as_json:
        left = len(ids) - retried
        out.print(f"{retried} retried" + (f", {left} not" if left else ""), soft_wrap=True)
    return status
