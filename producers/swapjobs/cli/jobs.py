"""The commands for single jobs: submit, status, wait, cancel."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from swapjobs.cli.job_view import print_job, status_of
from swapjobs.cli.output import YEAR_S, JsonFlag, err, plain
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest, WaitTimeout
from swapjobs.contract.request import SwapRequest
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL, swap_tools
from swapjobs.monitoring.wording import START_WORKER
from swapjobs.settings import CoreSettings, load_settings
from swapjobs.store import keys

if TYPE_CHECKING:
    from swapjobs.contract.job import Job
    from swapjobs.contract.request import Request

_LOOK_EVERY_S = 5.0  # for workers, while waiting

SourceUrl = Annotated[str, typer.Argument(metavar="SOURCE_URL", help="picture that gives the face")]
TargetUrl = Annotated[str, typer.Argument(metavar="TARGET_URL", help="picture that receives it")]
_ID = typer.Argument(metavar="ID", help="as submit printed it, or your own business_task_id", show_default=False)
JobId = Annotated[str, _ID]
MaybeJobId = Annotated[str | None, _ID]
Tenant = Annotated[str, typer.Option(help="whose business_task_id it is")]
TimeoutS = Annotated[float, typer.Option("--timeout", min=0, max=YEAR_S, help="seconds to wait at most")]
# What every command that submits one job takes.
OwnId = Annotated[str | None, typer.Option(help="your own id: the same id is the same job")]
WebhookUrl = Annotated[str | None, typer.Option(help="a signed webhook is sent there at the end")]
JobTenant = Annotated[str, typer.Option(help="whose job it is")]
JobPriority = Annotated[str, typer.Option(help="interactive or bulk")]
Metadata = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="handed back unchanged")]
ExpiresIn = Annotated[float | None, typer.Option(min=1, max=YEAR_S, help="give up after so many seconds")]
BatchId = Annotated[str | None, typer.Option(help="groups jobs")]
WaitForEnd = Annotated[bool, typer.Option("--wait", help="return when the job is final")]
_FIELDS = ", ".join(
    f"{name} ({tool.name})"
    for tool in swap_tools()
    for name in tool.input.model_fields
    if name not in SwapRequest.model_fields
)


class End(NamedTuple):
    """What a command that submits a job does then."""

    wait: bool
    timeout_s: float
    as_json: bool


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
    business_task_id: OwnId = None,
    callback_url: WebhookUrl = None,
    tenant: JobTenant = "default",
    priority: JobPriority = "interactive",
    tool: Annotated[str, typer.Option(help=f"one of {', '.join(tool.name for tool in swap_tools())}")] = DEFAULT_TOOL,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help=f"a tool's own field: {_FIELDS}")
    ] = None,
    metadata: Metadata = None,
    expires_in: ExpiresIn = None,
    batch_id: BatchId = None,
    wait_for_end: WaitForEnd = False,
    timeout_s: TimeoutS = 600,
    as_json: JsonFlag = False,
) -> None:
    """Submit one swap job; jobs of other tools are submitted by `swapjobs run`."""
    own = named(field, "--field")
    for name in own.keys() & SwapRequest.model_fields:
        raise InvalidRequest(f"--field {name}: is no field of a tool; see swapjobs submit --help for its own option")
    given = common_fields(
        business_task_id=business_task_id,
        callback_url=callback_url,
        tenant=tenant,
        priority=priority,
        batch_id=batch_id,
        expires_in=expires_in,
        metadata=metadata,
    )
    load_settings(CoreSettings)  # which may declare tools
    swap = {"tool": tool, "source_url": source_url, "target_url": target_url}
    send(SwapRequest.parse({**given, **swap, **own}), End(wait_for_end, timeout_s, as_json))


def common_fields(
    *, expires_in: float | None = None, metadata: list[str] | None = None, **given: str | None
) -> dict[str, Any]:
    """Return the fields that the options which all jobs have ask for."""
    expires_at = datetime.now(UTC) + timedelta(seconds=expires_in) if expires_in else None
    fields = {**given, "expires_at": expires_at, "metadata": named(metadata, "--metadata") or None}
    return {name: value for name, value in fields.items() if value is not None}


def send(request: Request, end: End) -> None:
    """Submit a job and show it."""
    if request.callback_url is not None:
        from swapjobs.cli.refused_address import warn_of_refusal  # noqa: PLC0415 - few jobs have one

        warn_of_refusal(request.callback_url)
    with SwapClient() as client:
        job = client.submit(request)
        if end.wait:
            _wait(client, job.id, end.timeout_s, as_json=end.as_json)
    print_job(job, as_json=end.as_json)


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
            from swapjobs.cli.dispatch import print_status  # noqa: PLC0415 - `submit` needs none of it

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


def named(pairs: list[str] | None, option: str) -> dict[str, str]:
    """Return what NAME=VALUE pairs say.

    Raises:
        InvalidRequest: one is written otherwise.
    """
    result = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} {pair!r}: write it as NAME=VALUE")
        result[name] = value
    return result
