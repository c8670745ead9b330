"""The command that deletes what is kept of jobs: forget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.jobs import MaybeJobId, Tenant  # noqa: TC001 - typer reads them
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest, JobNotFound, NotFinished

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    forgotten, left = 0, 0
    with SwapClient() as client:
        if job_id is not None:
            client.forget(job_id, tenant=tenant)
            forgotten = 1
        else:
            for id_ in _ids(client, tenant, batch):
                try:
                    client.forget(id_, tenant=tenant)
                    forgotten += 1
                except NotFinished:
                    left += 1
                except JobNotFound:
                    pass  # its record went meanwhile
    if as_json:
        print_json({"forgotten": forgotten, "not_finished": left})
    else:
        print_fields(out, (f"forgotten: {forgotten}" + (f"; not finished: {left}" if left else ""), 0, ""))


def _ids(client: SwapClient, tenant: str, batch: str | None) -> Iterator[str]:
    cursor = None
    while True:
        page = client.list(tenant=tenant, batch_id=batch, cursor=cursor, limit=500)
        yield from (job.id for job in page.jobs)
        cursor = page.next_cursor
        if cursor is None:
            return
