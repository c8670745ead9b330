"""The command audit: what was changed by hand, and by whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient

if TYPE_CHECKING:
    from swapjobs.contract.audit import AuditEntry


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(audit)


def audit(
    *,
    tenant: Annotated[str | None, typer.Option(help="only what concerns this tenant")] = None,
    action: Annotated[str | None, typer.Option(help="only actions that begin so, like job.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Tell what was changed by hand, newest first: of 90 days, and of the last 100,000 changes."""
    shown, cursor = 0, None
    with SwapClient() as client:
        while shown < limit:
            page = client.operator.audit(tenant=tenant, action=action, cursor=cursor, limit=min(limit - shown, 500))
            for entry in page.entries:
                shown += 1
                _print(entry, as_json=as_json)
            cursor = page.next_cursor
            if cursor is None:
                break
    if not shown and not as_json:
        print_fields(out, ("nothing that fits was changed by hand", 0, ""))


def _print(entry: AuditEntry, *, as_json: bool) -> None:
    if as_json:
        print_json(entry.model_dump(mode="json"))
        return
    number = f"{entry.number:,}" if entry.number is not None else ""
    result = entry.result if entry.result != "ok" else ""
    print_fields(
        out,
        (f"{entry.at:%Y-%m-%d %H:%M:%S}", 19, "dim"),
        (entry.action, 16, "bold"),
        (f"{entry.who} ({entry.via})", 0, ""),
        *((text, 0, "") for text in (entry.tenant, entry.target, number, result) if text),
        *([(json.dumps(entry.detail), 0, "dim")] if entry.detail else []),
    )
