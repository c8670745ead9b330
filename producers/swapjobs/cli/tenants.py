"""The commands tenants and tenant: limits of single tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swapjobs.cli.listing import seconds_of
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest
from swapjobs.report.charts import duration

if TYPE_CHECKING:
    from swapjobs.contract.tenant import TenantLimits, TenantStatus


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(tenants)
    app.command()(tenant)


def tenants(*, as_json: JsonFlag = False) -> None:
    """List the tenants that have jobs or limits of their own: what is queued, since when, and their limits."""
    with SwapClient() as client:
        result = client.operator.tenants()
    if as_json:
        print_json({"tenants": [item.model_dump(mode="json") for item in result]})
    elif not result:
        print_fields(out, ("no tenant has jobs, or limits of its own: swapjobs tenant NAME --help", 0, ""))
    else:
        _print_table(result)


def _print_table(items: list[TenantStatus]) -> None:
    now = datetime.now(UTC)
    rows = [
        (
            item.tenant,
            f"{item.queued:,}",
            duration((now - item.oldest_queued_at).total_seconds()) if item.oldest_queued_at else "-",
            limits_text(item),
        )
        for item in items
    ]
    heads = ("tenant", "queued", "oldest", "limits")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for number, row in enumerate([heads, *rows]):
        styles = ("bold", "", "", "") if number else ("dim",) * 4
        print_fields(out, *zip(row, widths, styles, strict=True))


def tenant(
    name: str,
    rate: Annotated[str | None, typer.Option(help="vendor calls like 5/s, 300/m or 1000/h; none: no own limit")] = None,
    max_in_flight: Annotated[int | None, typer.Option(help="vendor calls at a time; 0: no own limit")] = None,
    weight: Annotated[float | None, typer.Option(help="2: two turns where other tenants have one")] = None,
    result_ttl: Annotated[
        str | None, typer.Option(help="records of its jobs that end later are kept so long: 12h, 3d; none: as all are")
    ] = None,
    paused: Annotated[bool | None, typer.Option("--pause/--resume", help="its jobs are accepted and wait")] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="take all its own limits away")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Change a tenant's own limits, or show them; what is not given stays as it is."""
    given: dict[str, Any] = {"rate": rate, "max_in_flight": max_in_flight, "weight": weight, "paused": paused}
    given["result_ttl_s"] = seconds_of("--result-ttl", result_ttl) if result_ttl not in {None, "none"} else None
    changes = {field: value for field, value in given.items() if value is not None}
    if result_ttl == "none":
        changes["result_ttl_s"] = None
    if clear and changes:
        raise InvalidRequest("--clear: takes all limits away and goes with no other option")
    if clear:
        changes = {"rate": None, "max_in_flight": 0, "weight": 1, "paused": False, "result_ttl_s": None}
    if changes.get("rate") == "none":
        changes["rate"] = None
    with SwapClient() as client:
        limits = client.operator.set_tenant(name, **changes)
    if as_json:
        print_json(limits.model_dump(mode="json"))
    else:
        print_fields(out, (limits.tenant, 0, "bold"), (limits_text(limits), 0, ""))


def limits_text(limits: TenantLimits) -> str:
    """Return a tenant's own limits in plain words."""
    parts = [
        "paused" if limits.paused else "",
        f"{limits.rate}" if limits.rate else "",
        f"{limits.max_in_flight} calls at a time" if limits.max_in_flight else "",
        f"weight {limits.weight:g}" if limits.weight != 1 else "",
        f"records kept {duration(limits.result_ttl_s)}" if limits.result_ttl_s else "",
    ]
    return ", ".join(filter(None, parts)) or "no limits of its own"
