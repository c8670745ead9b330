"""The command list: jobs, newest first."""

from __future__ import annotations

import csv
import heapq
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from swapjobs.cli.output import JsonFlag, err, out, plain, print_fields, print_json, state_style
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import ErrorCode, InvalidRequest
from swapjobs.contract.filters import MAX_PAGE
from swapjobs.contract.lifecycle import JobState
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.report import spreadsheet

if TYPE_CHECKING:
    from collections.abc import Generator

    from swapjobs.contract.filters import JobFilters
    from swapjobs.contract.job import Job

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_LIMIT: Final = 50
AGO: Final = "15m, 2h, 3d for so long ago"
Time = Annotated[str | None, typer.Option(metavar="TIME", help=f"like 2026-01-31T12:00:00Z, or {AGO}")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="list")(list_jobs)


def list_jobs(
    *,
    tenant: Annotated[str, typer.Option(help="whose jobs")] = "default",
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="those of every tenant")] = False,
    state: Annotated[JobState | None, typer.Option(help="only those in this state")] = None,
    batch_id: Annotated[str | None, typer.Option("--batch", "--batch-id", help="only those of this batch")] = None,
    error_code: Annotated[
        ErrorCode | None, typer.Option(metavar="CODE", help="only those that failed with this code")
    ] = None,
    tool: Annotated[str | None, typer.Option(help=f"only those by this tool: {', '.join(TOOLS)}")] = None,
    since: Time = None,
    until: Time = None,
    limit: Annotated[int | None, typer.Option(min=1, help=f"at most so many, {_LIMIT} where it is not given")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="without a limit")] = False,
    as_json: JsonFlag = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV with a header, for a spreadsheet")] = False,
) -> None:
    """List jobs by the time of their creation, newest first."""
    if as_json and as_csv:
        raise InvalidRequest("--json and --csv: give one of them")
    if all_of_them and limit is not None:
        raise InvalidRequest("--all and --limit: give one of them")
    at_most = limit or _LIMIT
    now = datetime.now(UTC)
    wanted: JobFilters = {
        "tenant": tenant,
        "state": state,
        "batch_id": batch_id,
        "error_code": error_code,
        "tool": tool,
        "created_after": time_of("--since", since, now),
        "created_before": time_of("--until", until, now),
        "limit": MAX_PAGE if all_of_them else min(at_most + 1, MAX_PAGE),
    }
    shown, sheet = 0, csv.writer(out.file)
    with SwapClient() as client:
        tenants = [item.tenant for item in client.operator.tenants()] if all_tenants else [tenant]
        if as_csv:
            sheet.writerow(spreadsheet.HEADER)
        streams = [_jobs(client, {**wanted, "tenant": name}) for name in tenants]
        for job in heapq.merge(*streams, key=lambda job: job.created_at, reverse=True):
            if shown == at_most and not all_of_them:
                err.print(f"there are more than {at_most}: --limit or --all shows them", soft_wrap=True)
                break
            shown += 1
            if as_json:
                print_json(job.model_dump(mode="json"))
            elif as_csv:
                sheet.writerow(spreadsheet.row_of(job))
            else:
                _print(job, job.tenant if all_tenants else "")
    if not shown:
        whose = "any tenant" if all_tenants else f"tenant {plain(tenant)}"
        err.print(f"no job of {whose} fits", soft_wrap=True)


def _jobs(client: SwapClient, wanted: JobFilters) -> Generator[Job]:
    cursor = None
    while True:
        query: JobFilters = {**wanted, "cursor": cursor}
        page = client.list(**query)
        yield from page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return


def _print(job: Job, tenant: str) -> None:
    print_fields(
        out,
        (f"{job.created_at:%Y-%m-%d %H:%M:%S}", 19, "dim"),
        (job.id, 24, ""),
        (job.state, max(map(len, JobState)), state_style(job.state)),
        (job.error.code if job.error else "", max(map(len, ErrorCode)) if job.error else 0, ""),
        *([(tenant, 12, "")] if tenant else []),
        (job.business_task_id, 0, ""),
    )


def seconds_of(option: str, text: str) -> int:
    """Return the time that a person wrote for `option`, such as 90m, 12h or 3d.

    Raises:
        InvalidRequest: it is none.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if not match:
        raise InvalidRequest(f"{option} {text!r}: write it like 90m, 12h or 3d")
    return int(match[1]) * _UNITS[match[2]]


def time_of(option: str, text: str | None, now: datetime) -> datetime | None:
    """Return the time that a person wrote for `option`: a date, a date and time, or how long ago.

    Raises:
        InvalidRequest: it is none of these.
    """
    if text is None:
        return None
    try:
        if text[-1:] in _UNITS and text[:-1].isdigit():
            return datetime.fromtimestamp(now.timestamp() - int(text[:-1]) * _UNITS[text[-1]], UTC)
        time = datetime.fromisoformat(text)
        if not time.tzinfo:
            time = time.astimezone()  # as the person at this machine means it
        time.timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"{option} {text!r}: write it like 2026-01-31T12:00:00Z, or {AGO}") from None
    return time
