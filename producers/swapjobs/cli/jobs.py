"""The commands for single jobs: submit, status, wait, cancel."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from swapjobs.cli.dispatch import print_status
from swapjobs.cli.output import YEAR_S, JsonFlag, err, plain, print_job, status_of
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest, WaitTimeout
from swapjobs.contract.job import SwapRequest
from swapjobs.contract.vendor_tools import DEFAULT_TOOL, TOOLS
from swapjobs.monitoring.wording import START_WORKER
from swapjobs.store import keys

if TYPE_CHECKING:
    from swapjobs.contract.job import Job

_LOOK_EVERY_S = 5.0  # for workers, while waiting

SourceUrl = Annotated[str, typer.Argument(metavar="SOURCE_URL", help="picture that gives the face")]
TargetUrl = Annotated[str, typer.Argument(metavar="TARGET_URL", help="picture that receives it")]
_ID = typer.Argument(metavar="ID", help="as submit printed it, or your own business_task_id", show_default=False)
JobId = Annotated[str, _ID]
MaybeJobId = Annotated[str | None, _ID]
Tenant = Annotated[str, typer.Option(help="whose business_task_id it is")]
TimeoutS = Annotated[float, typer.Option("--timeout", min=0, max=YEAR_S, help="seconds to wait at most")]
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
    source_url: SourceUrl,
    target_url: TargetUrl,
    *,
    business_task_id: Annotated[str | None, typer.Option(help="your own id: the same id is the same job")] = None,
    callback_url: Annotated[str | None, typer.Option(help="a signed webhook is sent there at the end")] = None,
    tenant: Annotated[str, typer.Option(help="whose job it is")] = "default",
    priority: Annotated[str, typer.Option(help="interactive or bulk")] = "interactive",
    tool: Annotated[str, typer.Option(help=f"one of {', '.join(TOOLS)}")] = DEFAULT_TOOL,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help=f"a tool's own field: {_FIELDS}")
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="handed back unchanged")] = None,
    expires_in: Annotated[float | None, typer.Option(min=1, max=YEAR_S, help="give up after so many seconds")] = None,
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
    }
    request = _request(given, _named(field, "--field"))
    with SwapClient() as client:
        job = client.submit(request)
        if wait_for_end:
            _wait(client, job.id, timeout_s, as_json=as_json)
    print_job(job, as_json=as_json)


def status(
    job_id: MaybeJobId = None,
    *,
    tenant: Tenant = "default",
    attempts: Annotated[bool, typer.Option("--attempts", help="show also every attempt that was made")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show how a job stands; without an ID, how dispatch stands."""
    if job_id is None and attempts:
        raise InvalidRequest("--attempts: needs the ID of a job")
    with SwapClient() as client:
        if job_id is None:
            print_status(client.operator.status(), as_json=as_json)
        else:
            job = client.get(job_id, tenant=tenant)
            print_job(job, as_json=as_json, history=client.attempts(job.id) if attempts else None)


def wait(job_id: JobId, *, tenant: Tenant = "default", timeout_s: TimeoutS = 600, as_json: JsonFlag = False) -> None:
    """Wait until a job is final and show it; exit status 0 succeeded, 1 failed, 5 not yet."""
    with SwapClient() as client:
        _wait(client, client.get(job_id, tenant=tenant).id, timeout_s, as_json=as_json)


def _wait(client: SwapClient, job_id: str, timeout_s: float, *, as_json: bool) -> NoReturn:
    """Show the job at its end, or as it stands when the time is over: a script must learn the id in any case."""
    try:
        with err.status(f"waiting for job {plain(job_id)}"):
            job: Job = _attended(client, job_id, timeout_s)
    except WaitTimeout:
        print_job(client.get(job_id), as_json=as_json)
        raise
    except KeyboardInterrupt:
        err.print(f"stopped waiting; the job goes on: swapjobs wait {plain(job_id)}", markup=False, soft_wrap=True)
        raise
    print_job(job, as_json=as_json)
    raise typer.Exit(status_of(job))


def _attended(client: SwapClient, job_id: str, timeout_s: float) -> Job:
    """Wait for a job's end, and say so, once, where there is nobody to work on it."""
    until, said = time.monotonic() + timeout_s, False
    while True:
        try:
            return client.wait(job_id, min(max(until - time.monotonic(), 0), timeout_s if said else _LOOK_EVERY_S))
        except WaitTimeout:
            if time.monotonic() >= until:
                raise WaitTimeout(f"job {job_id} is {client.get(job_id).state} after {timeout_s:g} s") from None
        if not said and keys.SWAPS_QUEUE in client.operator.status().unattended:
            said = True
            err.print(
                f"no worker has been seen for 20 s, so the job waits; {START_WORKER}", markup=False, soft_wrap=True
            )


def cancel(job_id: JobId, *, tenant: Tenant = "default", as_json: JsonFlag = False) -> None:
    """Cancel a job; one that is final already stays as it is."""
    with SwapClient() as client:
        print_job(client.cancel(job_id, tenant=tenant), as_json=as_json)


def _request(given: dict[str, Any], fields: dict[str, str]) -> SwapRequest:
    for name in fields.keys() & SwapRequest.model_fields:
        raise InvalidRequest(f"--field {name}: is no field of a tool; see swapjobs submit --help for its own option")
    return SwapRequest.parse({name: value for name, value in given.items() if value is not None} | fields)


def _named(pairs: list[str] | None, option: str) -> dict[str, str]:
    named = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} {pair!r}: write it as NAME=VALUE")
        named[name] = value
    return named
