"""The commands webhooks ...: endpoints, the log of deliveries, replay."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from swapjobs.cli.listing import AGO, time_of
from swapjobs.cli.output import JsonFlag, err, out, plain, print_fields, print_json
from swapjobs.cli.refused_address import warn_of_refusal
from swapjobs.client.swap_client import SwapClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from swapjobs.contract.webhook import Delivery, Endpoint

TenantOption = Annotated[str, typer.Option(help="whose webhooks")]
EventsOption = Annotated[list[str] | None, typer.Option("--event", help="tell only of this; may be repeated")]
State = Literal["pending", "delivered", "undelivered"]
_COLOURS: Final = {
    "delivered": "green",
    "undelivered": "red",
    "pending": "yellow",
    "enabled": "green",
    "disabled": "red",
}

group = typer.Typer(help="Webhooks: the endpoints that are told of events, and every delivery.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    commands: dict[str, Callable[..., None]] = {
        "list": list_deliveries,
        "show": show,
        "replay": replay,
        "replay-since": replay_since,
        "test": send_test,
        "endpoints": endpoints,
        "add": add,
        "update": update,
        "rotate": rotate,
        "remove": remove,
    }
    for name, command in commands.items():
        group.command(name)(command)
    app.add_typer(group, name="webhooks")


def list_deliveries(
    tenant: TenantOption = "default",
    state: Annotated[State | None, typer.Option(help="only those in this state")] = None,
    endpoint: Annotated[str | None, typer.Option(help="id of an endpoint")] = None,
    event: Annotated[str | None, typer.Option(help="like swap.failed")] = None,
    subject: Annotated[str | None, typer.Option(help="id of the job or batch")] = None,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List deliveries, newest first."""
    with SwapClient() as client:
        page = client.webhooks.deliveries(
            tenant=tenant,
            state=state,
            endpoint_id=endpoint,
            event=event,
            subject=subject,
            cursor=cursor,
            limit=limit,
        )
    if as_json:
        print_json(page.model_dump(mode="json"))
        return
    for delivery in page.deliveries:
        _print_line(delivery)
    if not page.deliveries:
        err.print(f"no delivery of tenant {plain(tenant)} fits", soft_wrap=True)
    if page.next_cursor:
        print_fields(out, (f"more: --cursor {page.next_cursor}", 0, "dim"))


def show(
    id_: Annotated[str, typer.Argument(metavar="ID")], tenant: TenantOption = "default", *, as_json: JsonFlag = False
) -> None:
    """Show one delivery with all its tries; a job's own has the job's id."""
    with SwapClient() as client:
        _print(client.webhooks.delivery(id_, tenant=tenant), as_json=as_json)


def replay(
    id_: Annotated[str, typer.Argument(metavar="ID")], tenant: TenantOption = "default", *, as_json: JsonFlag = False
) -> None:
    """Begin the tries of a delivery anew, with the same webhook id."""
    with SwapClient() as client:
        _print(client.webhooks.replay(id_, tenant=tenant), as_json=as_json)


def replay_since(
    when: Annotated[str, typer.Argument(metavar="TIME", help=f"like 2026-01-31T12:00:00Z, or {AGO}")],
    tenant: TenantOption = "default",
    state: Annotated[State, typer.Option(help="those in this state")] = "undelivered",
    endpoint: Annotated[str | None, typer.Option(help="id of an endpoint")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Replay the undelivered deliveries that began since a time."""
    count, began = 0, cast("datetime", time_of("TIME", when, datetime.now(UTC)))
    with SwapClient() as client:
        for _ in client.webhooks.replay_since(began, tenant=tenant, state=state, endpoint_id=endpoint):
            count += 1
    if as_json:
        print_json({"replayed": count})
    else:
        print_fields(out, (f"{count} replayed", 0, ""))


def send_test(
    endpoint: str,
    tenant: TenantOption = "default",
    timeout: Annotated[float, typer.Option(min=0, help="seconds to wait for the first try")] = 20,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Send a signed event `test` to an endpoint and show what came of it.

    Exit status 0 when it was delivered at the first try, else 1.
    """
    with SwapClient() as client:
        sent = client.webhooks.test(endpoint, tenant=tenant)
        until = time.monotonic() + timeout
        while not sent.tries and sent.state == "pending" and time.monotonic() < until:
            time.sleep(0.1)
            sent = client.webhooks.delivery(sent.id, tenant=tenant)
    _print(sent, as_json=as_json)
    if not sent.tries:
        err.print(f"nobody tried it in {timeout:g} s: is a worker running? (swapjobs doctor)", soft_wrap=True)
    raise typer.Exit(0 if sent.state == "delivered" else 1)


def endpoints(tenant: TenantOption = "default", *, as_json: JsonFlag = False) -> None:
    """List a tenant's endpoints."""
    with SwapClient() as client:
        result = client.webhooks.endpoints(tenant=tenant)
    if as_json:
        print_json({"endpoints": [item.model_dump(mode="json") for item in result]})
    for item in [] if as_json else result:
        state = (item.state, len("disabled"), _COLOURS[item.state])
        print_fields(out, (item.id, 0, "bold"), state, (item.url, 0, ""), (_details(item), 0, "dim"))
    if not result and not as_json:
        err.print(f"tenant {plain(tenant)} has no endpoints", soft_wrap=True)


def add(url: str, tenant: TenantOption = "default", event: EventsOption = None, *, as_json: JsonFlag = False) -> None:
    """Register a URL that is told of the tenant's events; prints its secret."""
    with SwapClient() as client:
        _print(client.webhooks.add(url, tenant=tenant, events=event or ()), as_json=as_json)
    warn_of_refusal(url)


def update(
    endpoint: str,
    tenant: TenantOption = "default",
    url: Annotated[str | None, typer.Option(help="another URL; what is pending goes there too")] = None,
    event: EventsOption = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable")] = None,
    *,
    all_events: Annotated[bool, typer.Option("--all-events", help="tell of all events again")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Change an endpoint; what is not given stays as it is."""
    events: list[str] | None = [] if all_events else event
    with SwapClient() as client:
        changed = client.webhooks.update(endpoint, tenant=tenant, url=url, events=events, enabled=enabled)
    _print(changed, as_json=as_json)
    warn_of_refusal(url)


def rotate(
    endpoint: str,
    tenant: TenantOption = "default",
    overlap_s: Annotated[float, typer.Option(min=0, help="seconds in which the old secret signs too")] = 86_400,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Give an endpoint a new secret and print it."""
    with SwapClient() as client:
        _print(client.webhooks.rotate(endpoint, tenant=tenant, overlap_s=overlap_s), as_json=as_json)


def remove(endpoint: str, tenant: TenantOption = "default", *, as_json: JsonFlag = False) -> None:
    """Take an endpoint away; what is pending for it becomes undelivered."""
    with SwapClient() as client:
        client.webhooks.remove(endpoint, tenant=tenant)
    if as_json:
        print_json({"id": endpoint, "removed": True})


def _print(model: BaseModel, *, as_json: bool) -> None:
    """Print a delivery or an endpoint."""
    if as_json:
        print_json(model.model_dump(mode="json"))
        return
    shown = {name: value for name, value in model.model_dump(mode="json").items() if value not in (None, [])}
    tries = shown.pop("tries", [])
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        print_fields(out, (name, len("disabled_reason"), "dim"), (text, 0, _COLOURS.get(text, "")))
    for item in tries:
        came = f"HTTP {item['status']}" if item["status"] else "no answer"
        line = f"{item['at']}  {came}, {item['duration_ms']} ms  {item['reason']}"
        print_fields(out, (f"try {item['number']}", len("disabled_reason"), "dim"), (line, 0, ""))


def _print_line(delivery: Delivery) -> None:
    last = delivery.tries[-1].reason if delivery.tries else ""
    began = (f"{delivery.created_at:%Y-%m-%d %H:%M:%S}", 19, "dim")
    state = (delivery.state, len("undelivered"), _COLOURS[delivery.state])
    event = (delivery.event, len("endpoint.disabled"), "")
    print_fields(out, began, state, event, (delivery.id, 0, "bold"), (last, 0, "dim"))


def _details(endpoint: Endpoint) -> str:
    parts = [
        ", ".join(endpoint.events),
        endpoint.disabled_reason or "",
        f"failing since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC" if endpoint.failing_since else "",
    ]
    return "; ".join(filter(None, parts))
