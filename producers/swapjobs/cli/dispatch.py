"""The line to the vendor: pause and resume close and open it by hand, metrics tells monitoring how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.cli.services import need
from swapjobs.client.swap_client import SwapClient
from swapjobs.settings import CoreSettings
from swapjobs.store.dispatch_status import LearnedRate
from swapjobs.store.jobs import JobStore, connect
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from datetime import datetime

    from swapjobs.store.dispatch_status import Line, RateWhy, Why

# What a person has to do while the line is closed.
TO_DO: Final[dict[Why, str]] = {
    "paused": "swapjobs resume",
    "rate_limit": "nothing: the vendor asked for a pause, and work goes on after it",
    "vendor_outage": "nothing: jobs wait, and go on once the vendor answers a probe",
    "credentials_rejected": "correct SWAPJOBS_API_KEY_*, restart workers, then swapjobs resume",
    "quota_exhausted": "get new quota from the vendor, then swapjobs resume",
}
START_WORKER: Final = "start one: swapjobs worker; one that runs and is not seen hangs: restart it"
# What refusals taught about the rate.
_RATE_WHY: Final[dict[RateWhy, str]] = {
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
    app.command()(metrics)


def pause(*, as_json: JsonFlag = False) -> None:
    """Close the line to the vendor by hand, for all workers, until resume.

    Calls under way end as ever, and webhooks go on; jobs are accepted and wait.
    """
    with SwapClient() as client:
        print_line(client.pause(), as_json=as_json)


def resume(*, as_json: JsonFlag = False) -> None:
    """Open the line that was closed by hand, or let a line that failing calls closed be probed at once."""
    with SwapClient() as client:
        print_line(client.resume(), as_json=as_json)


def rate(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Use the limit in full again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell the rate of calls to the vendor: the limit, what is used of it now, why, and since when."""
    with SwapClient() as client:
        line = client.forget_rate() if forget else client.line()
    if as_json:
        print_json(LearnedRate.model_validate(line).model_dump(mode="json"))
        return
    rows = {"limit": _per_time(line.rate_limit), "rate": rate_text(line)}
    if line.rate_why and line.rate_since:
        rows |= {
            "why": _RATE_WHY[line.rate_why],
            "since": f"{_clock(line, line.rate_since)} ({_span(line, line.rate_since)})",
        }
    if line.refused_anyway:
        rows["refused"] = f"about {line.refused_anyway:.0%} at any rate: going slower would not help"
    for name, text in rows.items():
        print_fields(out, (name, _WIDTH, "dim"), (text, 0, ""))


def metrics() -> None:
    """Print the metrics in Prometheus' text format, as for node_exporter's textfile collector."""
    need("prometheus_client", "worker")
    from swapjobs.monitoring.prometheus import exposition  # noqa: PLC0415 - needs a package of the worker's extra

    settings = CoreSettings.load()
    with connect(settings) as client, queue_errors():
        seen = JobStore(client, settings).look()
    out.file.write(exposition(seen))


def print_line(line: Line, *, as_json: bool) -> None:
    """Print how the line stands."""
    if as_json:
        print_json(line.model_dump(mode="json"))
        return
    to_do = "; ".join([*([TO_DO[line.reason]] if line.reason else []), *([START_WORKER] if line.unattended else [])])
    rows = {"line": told(line), "to do": to_do, "rate": rate_text(line), "calls": f"{line.in_flight} in flight"}
    rows |= {lane: f"{waiting} in line" for lane, waiting in line.in_line.items()}
    for name, text in rows.items():
        style = ("yellow" if line.reason or line.unattended else "green") if name == "line" else ""
        if text:
            print_fields(out, (name, _WIDTH, "dim"), (text, 0, style))


def rate_text(line: Line) -> str:
    """Return how fast calls may be made, in plain words."""
    limit = _per_time(line.rate_limit)
    return limit if line.rate >= line.rate_limit * 0.9999 else f"{_per_time(line.rate)} now, of {limit}"


def _per_time(per_s: float) -> str:
    """Return a rate with two or three digits, in the unit that says it best."""
    for unit, seconds in _SECONDS.items():
        if per_s * seconds >= 1 or unit == "h":
            return f"{float(f'{per_s * seconds:.3g}'):g}/{unit}"
    raise AssertionError


def told(line: Line) -> str:
    """Return the state in plain words, without what stands in line."""
    return "; ".join([_state(line), *(f"no worker for {queue}" for queue in line.unattended)])


def _state(line: Line) -> str:
    if line.state == "open":
        return f"open; the full rate is back in {_span(line, line.full_rate_at)}" if line.full_rate_at else "open"
    if line.opens_at:
        return f"closed until {_clock(line, line.opens_at)} (in {_span(line, line.opens_at)}): {line.reason}"
    since = f"closed since {_clock(line, line.since)} ({_span(line, line.since)}): " if line.since else "closed: "
    if line.reason == "paused":
        return f"{since}paused by hand"
    if line.probing:
        return f"{since}{line.reason}; a probe is under way"
    if line.next_probe_at and line.next_probe_at > line.as_of:
        return f"{since}{line.reason}; next probe in {_span(line, line.next_probe_at)}"
    return f"{since}{line.reason}; a probe is due"


def _clock(line: Line, time: datetime) -> str:
    """Return the time of day, with the date where it is another day's."""
    return f"{time:%H:%M:%S} UTC" if time.date() == line.as_of.date() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _span(line: Line, time: datetime) -> str:
    """Return how far away a time is, in the unit that says it best."""
    seconds = abs((time - line.as_of).total_seconds())
    unit = next((unit for unit, most in _LARGEST.items() if seconds <= most * _SECONDS[unit]), "days")
    return f"{seconds / _SECONDS[unit]:.0f} {unit}"
