"""The commands for single jobs: submit, status, wait, cancel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from swapjobs.cli.output import JsonFlag, print_job, status_of
from swapjobs.client import SwapClient
from swapjobs.errors import InvalidRequest
from swapjobs.models import SwapRequest
from swapjobs.tools import TOOLS

JobId = Annotated[str, typer.Argument(help="the job's id, as submit printed it", show_default=False)]
TimeoutS = Annotated[float, typer.Option("--timeout", min=0, help="seconds to wait at most")]
_FIELDS = ", ".join(
    f"{name} ({tool})" for tool, fields in TOOLS.items() for name in fields.model_fields if fields.model_fields
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(submit)
    app.command()(status)
    app.command()(wait)
    app.command()(cancel)


def submit(
    source_url: Annotated[str, typer.Argument(help="picture that gives the face", show_default=False)],
    target_url: Annotated[str, typer.Argument(help="picture that receives it", show_default=False)],
    *,
    business_task_id: Annotated[str | None, typer.Option(help="your own id: the same id is the same job")] = None,
    callback_url: Annotated[str | None, typer.Option(help="a signed webhook is sent there at the end")] = None,
    tenant: Annotated[str | None, typer.Option(help="whose job it is [default: default]")] = None,
    priority: Annotated[str | None, typer.Option(help="interactive or bulk [default: interactive]")] = None,
    tool: Annotated[str | None, typer.Option(help=f"one of {', '.join(TOOLS)} [default: roop]")] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help=f"a tool's own field: {_FIELDS}")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="handed back unchanged")] = None,
    expires_in: Annotated[float | None, typer.Option(min=1, help="give up after so many seconds")] = None,
    batch_id: Annotated[str | None, typer.Option(help="groups jobs")] = None,
    wait_for_end: Annotated[bool, typer.Option("--wait", help="return when the job is final")] = False,
    timeout_s: TimeoutS = 600,
    as_json: JsonFlag = False,
) -> None:
    """Submit one swap job."""
    given: dict[str, Any] = {
        "source_url": source_url,
        "target_url": target_url,
        "business_task_id": business_task_id,
        "callback_url": callback_url,
        "tenant": tenant,
        "priority": priority,
        "tool": tool,
        "batch_id": batch_id,
        "expires_at": datetime.now(UTC) + timedelta(seconds=expires_in) if expires_in else None,
        "metadata": _named(metadata, "--metadata") or None,
        **_named(field, "--field"),
    }
    request = SwapRequest.parse({name: value for name, value in given.items() if value is not None})
    with SwapClient() as client:
        job = client.submit(request)
        if wait_for_end:
            job = client.wait(job.id, timeout_s)
    print_job(job, as_json=as_json)
    raise typer.Exit(status_of(job) if wait_for_end else 0)


def status(job_id: JobId, *, as_json: JsonFlag = False) -> None:
    """Show how a job stands."""
    with SwapClient() as client:
        print_job(client.get(job_id), as_json=as_json)


def wait(job_id: JobId, *, timeout_s: TimeoutS = 600, as_json: JsonFlag = False) -> None:
    """Wait until a job is final and show it; exit status 0 succeeded, 1 failed, 5 not yet."""
    with SwapClient() as client:
        job = client.wait(job_id, timeout_s)
    print_job(job, as_json=as_json)
    raise typer.Exit(status_of(job))


def cancel(job_id: JobId, *, as_json: JsonFlag = False) -> None:
    """Cancel a job; one that is final already stays as it is."""
    with SwapClient() as client:
        print_job(client.cancel(job_id), as_json=as_json)


def _named(pairs: list[str] | None, option: str) -> dict[str, str]:
    named = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} {pair!r}: write it as NAME=VALUE")
        named[name] = value
    return named
