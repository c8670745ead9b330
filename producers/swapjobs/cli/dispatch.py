"""Dispatch: pause and resume it, see its rate, and print the metrics for monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from swapjobs.cli.listing import seconds_of
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.cli.services import need
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.dispatch_status import LearnedRate
from swapjobs.settings import CoreSettings, load_settings
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from datetime import datetime

    from swapjobs.contract.dispatch_status import DispatchStatus, PauseReason, RateReason

# What a person has to do while dispatch is paused.
TO_DO: Final[dict[PauseReason, str]] = {
    "manual": "swapjobs resume",
    "rate_limit": "nothing: the vendor asked for a pause, and work goes on after it",
    "vendor_outage": "nothing: jobs wait, and go on once the vendor answers a probe",
    "credentials_rejected": "correct SWAPJOBS_API_KEY_*, restart workers, then swapjobs resume",
    "quota_exhausted": "get new quota from the vendor, then swapjobs resume",
}
START_WORKER: Final = "start one: swapjobs worker; one that runs and is not seen hangs: restart it"
# What refusals taught about the rate.
_RATE_REASONS: Final[dict[RateReason, str]] = {
    "limit": "fewer calls are refused at this rate, so the vendor allows less than the limit",
    "test": "calls are refused: it is being found out whether a lower rate makes a difference",
    "shut": "nothing comes through: one knock now and then, until a call does",
}
_WIDTH: Final = len("interactive")
_LARGEST: Final = {"s": 90, "min": 90, "h": 48}  # of each unit, before the next one is used
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "days": 86_400}


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
    rows = {"limit": _per_time(status.rate_limit), "rate": rate_text(status)}
    if status.rate_reason and status.rate_since:
        rows |= {
            "why": _RATE_REASONS[status.rate_reason],
            "since": f"{_clock(status, status.rate_since)} ({_span(status, status.rate_since)})",
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


def rate_text(status: DispatchStatus) -> str:
    """Return how fast calls may be made, in plain words."""
    limit = _per_time(status.rate_limit)
    return limit if status.rate >= status.rate_limit * 0.9999 else f"{_per_time(status.rate)} now, of {limit}"


def _per_time(per_s: float) -> str:
    """Return a rate with two or three digits, in the unit that says it best."""
    for unit, seconds in _SECONDS.items():
        if per_s * seconds >= 1 or unit == "h":
            return f"{float(f'{per_s * seconds:.3g}'):g}/{unit}"
    raise AssertionError


def summary(status: DispatchStatus) -> str:
    """Return the state in plain words, without what is queued."""
    return "; ".join([_state(status), *(f"no worker for {queue}" for queue in status.unattended)])


def _state(status: DispatchStatus) -> str:
    if status.state == "running":
        full = status.full_rate_at
        return f"running; the full rate is back in {_span(status, full)}" if full else "running"
    if status.resumes_at:
        at, left = _clock(status, status.resumes_at), _span(status, status.resumes_at)
        return f"paused until {at} (in {left}): {status.reason}"
    since = status.since
    paused = f"paused since {_clock(status, since)} ({_span(status, since)}): " if since else "paused: "
    if status.reason == "manual":
        return f"{paused}by an operator"
    if status.probing:
        return f"{paused}{status.reason}; a probe is under way"
    if status.next_probe_at and status.next_probe_at > status.as_of:
        return f"{paused}{status.reason}; next probe in {_span(status, status.next_probe_at)}"
    return f"{paused}{status.reason}; a probe is due"


def _clock(status: DispatchStatus, time: datetime) -> str:
    """Return the time of day, with the date where it is another day's."""
    return f"{time:%H:%M:%S} UTC" if time.date() == status.as_of.date() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _span(status: DispatchStatus, time: datetime) -> str:
    """Return how far away a time is, in the unit that says it best."""
    seconds = abs((time - status.as_of).total_seconds())
    unit = next((unit for unit, limit in _LARGEST.items() if seconds <= limit * _SECONDS[unit]), "days")
    return f"{seconds / _SECONDS[unit]:.0f} {unit}"
