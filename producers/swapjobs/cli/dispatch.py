"""Dispatch: pause and resume it, see its rate, and print the metrics for monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from swapjobs.cli.listing import seconds_of
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.cli.services import need
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.dispatch_status import LearnedRate
from swapjobs.monitoring.wording import RATE_REASONS, START_WORKER, TO_DO, clock, per_time, rate_text, span, summary
from swapjobs.settings import CoreSettings, load_settings
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from swapjobs.contract.dispatch_status import DispatchStatus

_WIDTH: Final = len("interactive")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(pause)
    app.command()(resume)
    app.command()(rate)
    app.command()(restored)
    app.command()(metrics)


def pause(*, as_json: JsonFlag = False) -> None:
    """Pause dispatch for all workers: no call to the vendor is begun until resume.

    Calls under way end as ever, and webhooks go on; jobs are accepted and wait.
    """
    with SwapClient() as client:
        print_status(client.operator.pause(), as_json=as_json)


def resume(*, as_json: JsonFlag = False) -> None:
    """Resume dispatch after a manual pause; where failing calls paused it, let the vendor be probed at once."""
    with SwapClient() as client:
        print_status(client.operator.resume(), as_json=as_json)


def restored(
    *,
    for_: Annotated[
        str, typer.Option("--for", help="how long producers may submit again what was lost: 30m, 1h, 1d")
    ] = "1h",
    as_json: JsonFlag = False,
) -> None:
    """Say that Redis was restored from a backup: jobs are looked up at the vendor before they are sent.

    That is every job that is there, and every one that is submitted in the time given: what was done after the backup
    is found and not paid again. Say it before workers start and producers submit again.
    """
    seconds = seconds_of("--for", for_)
    with SwapClient() as client:
        print_status(client.operator.restored(for_s=seconds), as_json=as_json)


def rate(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Use the limit in full again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell the rate of calls to the vendor: the limit, what is used of it now, why, and since when."""
    with SwapClient() as client:
        status = client.operator.forget_rate() if forget else client.operator.status()
    if as_json:
        print_json(LearnedRate.model_validate(status).model_dump(mode="json"))
        return
    rows = {"limit": per_time(status.rate_limit), "rate": rate_text(status)}
    if status.rate_reason and status.rate_since:
        rows |= {
            "why": RATE_REASONS[status.rate_reason],
            "since": f"{clock(status, status.rate_since)} ({span(status, status.rate_since)})",
        }
    if status.refused_at_any_rate:
        rows["refused"] = f"about {status.refused_at_any_rate:.0%} at any rate: going slower would not help"
    for name, text in rows.items():
        print_fields(out, (name, _WIDTH, "dim"), (text, 0, ""))


def metrics() -> None:
    """Print the metrics in Prometheus' text format, as for node_exporter's textfile collector."""
    need("prometheus_client", "worker")
    from swapjobs.monitoring.prometheus import exposition  # noqa: PLC0415 - needs a package of the worker's extra
    from swapjobs.monitoring.readings import Readings  # noqa: PLC0415 - only for this

    settings = load_settings(CoreSettings)
    with connect(settings) as client, queue_errors():
        readings = Readings.read(Store(client, settings))
    out.file.write(exposition(readings, settings.prices))


def print_status(status: DispatchStatus, *, as_json: bool) -> None:
    """Print how dispatch stands."""
    if as_json:
        print_json(status.model_dump(mode="json"))
        return
    to_do = "; ".join(
        [*([TO_DO[status.reason]] if status.reason else []), *([START_WORKER] if status.unattended else [])]
    )
    rows = {
        "dispatch": summary(status),
        "to do": to_do,
        "rate": rate_text(status),
        "calls": f"{status.in_flight} in flight",
    }
    rows |= {lane: f"{waiting} queued" for lane, waiting in status.queued.items()}
    for name, text in rows.items():
        style = ("yellow" if status.reason or status.unattended else "green") if name == "dispatch" else ""
        if text:
            print_fields(out, (name, _WIDTH, "dim"), (text, 0, style))
