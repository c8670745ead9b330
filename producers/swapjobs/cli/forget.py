"""The command that deletes what is kept of jobs: forget."""

from __future__ import annotations

from typing import Annotated

import typer

from swapjobs.cli.jobs import MaybeJobId, Tenant  # noqa: TC001 - typer reads them
from swapjobs.cli.operation import follow
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(forget)


def forget(
    job_id: MaybeJobId = None,
    *,
    tenant: Tenant = "default",
    batch: Annotated[str | None, typer.Option(help="all finished jobs of this batch")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all finished jobs of the tenant")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete what is kept of finished jobs: URLs, metadata, attempts; only that the ids were used stays known."""
    if [job_id is not None, batch is not None, everything].count(True) != 1:
        raise InvalidRequest("give one of JOB_ID, --batch and --all")
    with SwapClient() as client:
        if job_id is not None:
            client.forget(job_id, tenant=tenant)
            forgotten, left = 1, 0
        else:
            done = follow(client, client.operations.start("forget", tenant=tenant, batch_id=batch))
            forgotten, left = done.changed, done.left
    if as_json:
        print_json({"forgotten": forgotten, "not_finished": left})
    else:
        print_fields(out, (f"forgotten: {forgotten}" + (f"; not finished: {left}" if left else ""), 0, ""))
