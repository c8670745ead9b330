"""The commands operation start, list, show and stop: one action on all jobs that fit a filter."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from swapjobs.cli.listing import Time, time_of
from swapjobs.cli.output import JsonFlag, err, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import ErrorCode  # noqa: TC001 - as below
from swapjobs.contract.lifecycle import JobState  # noqa: TC001 - as below
from swapjobs.contract.operation import Kind  # noqa: TC001 - typer reads it
from swapjobs.contract.vendor_tools.table import TOOLS

if TYPE_CHECKING:
    from swapjobs.contract.operation import Operation

app = typer.Typer(help="Retry, cancel or forget all jobs that fit a filter; it goes on in the workers.")
_STEP_S: Final = 1.0
_DONE: Final = {"retry": "retried", "cancel": "cancelled", "forget": "forgotten"}


def register(root: typer.Typer) -> None:
    """Add these commands."""
    root.add_typer(app, name="operation")


@app.command()
def start(
    kind: Annotated[Kind, typer.Argument(help="what to do")],
    *,
    tenant: Annotated[str, typer.Option(help="whose jobs")] = "default",
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="those of every tenant")] = False,
    batch_id: Annotated[str | None, typer.Option("--batch", help="only those of this batch")] = None,
    state: Annotated[JobState | None, typer.Option(help="only those in this state; to retry: failed")] = None,
    error_code: Annotated[
        ErrorCode | None, typer.Option(metavar="CODE", help="only those that failed with this code")
    ] = None,
    tool: Annotated[str | None, typer.Option(help=f"only those by this tool: {', '.join(TOOLS)}")] = None,
    since: Time = None,
    until: Time = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count them")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not count and ask first, at a terminal")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="do not wait for its end: the workers go on")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Begin an operation on the jobs that are there now, and follow it to its end.

    At a terminal the jobs that fit are counted first, and you are asked. Interrupted, it goes on; `operation stop` ends
    it, and what is done stays so.
    """
    now = datetime.now(UTC)
    filters: dict[str, Any] = {
        "tenant": None if all_tenants else tenant,
        "batch_id": batch_id,
        "state": state,
        "error_code": error_code,
        "tool": tool,
        "created_after": time_of("--since", since, now),
        "created_before": time_of("--until", until, now),
    }
    with SwapClient() as client:
        if not (yes or dry_run) and sys.stdin.isatty() and sys.stderr.isatty():
            number = follow(client, client.operations.start(kind, dry_run=True, **filters)).changed
            if not typer.confirm(f"{kind} {number:,} jobs?", err=True):
                raise typer.Exit(1)
        patience_s = 0 if detach else _STEP_S
        operation = client.operations.start(kind, patience_s=patience_s, dry_run=dry_run, **filters)
        print_operation(operation if detach else follow(client, operation), as_json=as_json)


@app.command(name="list")
def list_operations(
    *, tenant: Annotated[str | None, typer.Option(help="only on this tenant's jobs")] = None, as_json: JsonFlag = False
) -> None:
    """List the newest operations."""
    with SwapClient() as client:
        operations = client.operations.list(tenant=tenant)
    if as_json:
        print_json({"operations": [operation.model_dump(mode="json") for operation in operations]})
    elif not operations:
        print_fields(out, ("there was no operation; swapjobs operation start --help", 0, ""))
    for operation in [] if as_json else operations:
        print_operation(operation, as_json=False)


@app.command()
def show(operation_id: str, *, as_json: JsonFlag = False) -> None:
    """Show how far an operation is."""
    with SwapClient() as client:
        print_operation(client.operations.get(operation_id), as_json=as_json)


@app.command()
def stop(operation_id: str, *, as_json: JsonFlag = False) -> None:
    """Do no more of an operation; what is done stays so."""
    with SwapClient() as client:
        print_operation(client.operations.stop(operation_id), as_json=as_json)


def follow(client: SwapClient, operation: Operation) -> Operation:
    """Take part in an operation until it is over, and return how it ended."""
    try:
        while operation.status == "running":
            operation = client.operations.follow(operation.id, patience_s=_STEP_S)
            if operation.status == "running" and err.is_terminal:
                print_fields(err, (_progress(operation), 0, "dim"))
    except KeyboardInterrupt:
        text = f"it goes on without you: swapjobs operation show {operation.id}, or stop"
        err.print(text, markup=False, soft_wrap=True)
        raise
    return operation


def print_operation(operation: Operation, *, as_json: bool) -> None:
    """Print what an operation is and how far."""
    if as_json:
        print_json(operation.model_dump(mode="json"))
        return
    filters = operation.model_dump(mode="json", include={"batch_id", "state", "error_code", "tool"}, exclude_none=True)
    what = " ".join([operation.kind, operation.tenant or "of all tenants", *filters.values()])
    print_fields(
        out,
        (f"{operation.created_at:%Y-%m-%d %H:%M:%S}", 19, "dim"),
        (operation.id, 19, ""),
        (operation.status, 7, "green" if operation.status == "done" else "yellow"),
        (what, 0, ""),
        (_progress(operation), 0, ""),
    )


def _progress(operation: Operation) -> str:
    done = f"{operation.changed:,} {'fit' if operation.dry_run else _DONE[operation.kind]}"
    left = f", {operation.left:,} could not be" if operation.left else ""
    seen = f", {operation.looked_at:,} of {operation.total:,} looked at" if operation.status != "done" else ""
    return done + left + seen
