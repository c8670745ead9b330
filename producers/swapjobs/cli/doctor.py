"""The command doctor: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import typer

from swapjobs.cli.capacity import PlanOption, print_plan
from swapjobs.cli.dispatch import START_WORKER, TO_DO, rate_text, summary
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.contract.errors import SettingsError
from swapjobs.monitoring.slot_advice import advise
from swapjobs.settings import WorkerSettings, load_settings
from swapjobs.store import keys
from swapjobs.store.dispatch import COUNTS
from swapjobs.store.redis_advice import advice
from swapjobs.store.redis_client import RedisError
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.contract.dispatch_status import DispatchStatus
    from swapjobs.contract.webhook import Endpoint
    from swapjobs.store.dispatch import TrafficSnapshot

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
_WIDTH = len("webhook secret")
_MUCH_LOWER = 0.85  # of the limit: more than the rate falls at a chance refusal


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    state: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""
    exit_status: int = 1  # when it is a problem


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(*, plan: PlanOption = None, as_json: JsonFlag = False) -> None:
    """Check settings, Redis, dispatch, the vendor and the webhook secret, and say what to do.

    Exit status 0 without problems (warnings are none), else that of the first: 2 settings, 4 Redis, 1 another.
    """
    if plan is not None:
        print_plan(plan, as_json=as_json)
        return
    checks = list(run_checks())
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            mark = (check.state, len("problem"), _COLOURS[check.state])
            print_fields(out, mark, (check.name, _WIDTH, ""), (check.found, 0, ""))
            if check.remedy:
                print_fields(out, ("", len("problem"), ""), ("", _WIDTH, ""), (f"-> {check.remedy}", 0, "bold"))
    raise typer.Exit(next((check.exit_status for check in checks if check.state == "problem"), 0))


def run_checks() -> Iterator[Check]:
    """Look at everything, in the order in which it would be mended."""
    try:
        settings = load_settings(WorkerSettings)
    except SettingsError as error:
        yield Check("settings", "problem", str(error), "correct the variable or the line in .env", 2)
        return
    yield Check("settings", "ok", "all valid")
    yield from _redis(settings)
    yield from _vendor(settings)
    yield _secret(settings)


def _redis(settings: WorkerSettings) -> Iterator[Check]:
    with connect(settings) as client:
        try:
            store = Store(client, settings)
            facts = store.server_facts()
            problems = store.server_problems(fsync=settings.submit_durability == "fsync")
            snapshot = store.dispatch.inspect()
            ready = store.dispatch.ready()
            workers = store.fleet()
            disabled = store.endpoints.disabled()
        except RedisError as error:
            result = f"cannot be used: {error or type(error).__name__}"
            yield Check("redis", "problem", result, advice(error), 4)
            return
    yield Check("redis", "ok", f"{facts['server']}, memory {facts['memory']}")
    for problem in problems:
        yield Check("redis", "problem" if problem.fatal else "warning", problem.what, problem.remedy, 4)
    if not any("append-only" in problem.what for problem in problems):
        yield Check("persistence", "ok", "append-only file on, policy noeviction")
    yield _dispatch(snapshot.status)
    yield _workers(snapshot)
    yield _rate(settings, snapshot, ready)
    if snapshot.rate_limit and workers.processes:
        slots = advise(workers, snapshot.rate_limit, settings.max_in_flight)
        yield Check("slots", "ok" if slots.fits else "warning", slots.found, slots.to_do)
    yield _webhooks(snapshot, disabled)
    for name, meaning in COUNTS.items():
        yield Check("so far", "ok", f"{snapshot.counts[name]} {meaning}")


def _webhooks(snapshot: TrafficSnapshot, disabled: list[Endpoint]) -> Check:
    numbers = snapshot.numbers
    result = f"{numbers['endpoints']:.0f} endpoints, {numbers['deliveries_pending']:.0f} deliveries pending"
    if not disabled:
        return Check("webhooks", "ok", result)
    first = disabled[0]
    remedy = f"swapjobs webhooks update {first.id} --tenant {first.tenant} --enable"
    why = f"{len(disabled)} disabled, {first.id}: {first.disabled_reason}"
    return Check("webhooks", "warning", f"{result}; {why}", f"once the receiver works again: {remedy}")


def _dispatch(status: DispatchStatus) -> Check:
    if status.reason is None:
        return Check("dispatch", "ok", summary(status))
    return Check("dispatch", "warning", summary(status), TO_DO[status.reason])


def _workers(snapshot: TrafficSnapshot) -> Check:
    result = ", ".join(f"{count or 'no worker'} for {queue}" for queue, count in snapshot.workers.items())
    if snapshot.status.unattended:
        return Check("workers", "problem", f"{result}, and jobs wait", START_WORKER)
    if not snapshot.workers.get(keys.SWAPS_QUEUE):
        return Check("workers", "warning", result, "swapjobs worker")
    return Check("workers", "ok", result)


def _rate(settings: WorkerSettings, snapshot: TrafficSnapshot, ready: int) -> Check:
    theirs, mine = snapshot.rate_limit, 1 / settings.rate_limit.interval_s
    if theirs is None:
        return Check("rate", "warning", "no worker has been here yet", "swapjobs worker")
    result = f"{rate_text(snapshot.status)}; {ready} messages ready"
    if abs(mine - theirs) > 1e-6 * mine:
        remedy = f"SWAPJOBS_RATE_LIMIT here says {settings.rate_limit}: make it the same everywhere"
        return Check("rate", "warning", result, remedy)
    if snapshot.numbers["rate_factor"] < _MUCH_LOWER:
        remedy = "the vendor refuses calls as too fast: set SWAPJOBS_RATE_LIMIT to what it allows, or ask it for more"
        return Check("rate", "warning", result, remedy)
    return Check("rate", "ok", result)


def _vendor(settings: WorkerSettings) -> Iterator[Check]:
    if importlib.util.find_spec("httpx") is None:
        yield Check("vendor", "warning", "not looked at", "pip install 'swapjobs[worker]' to check it from here")
        return
    import httpx  # noqa: PLC0415 - comes with the worker's extra

    try:
        answer = httpx.get(settings.api_url, timeout=10, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last from a host name that is none
        result = f"{settings.api_url} cannot be reached: {error or type(error).__name__}"
        yield Check("vendor", "problem", result, "check SWAPJOBS_API_URL and the network")
    else:
        yield Check("vendor", "ok", f"{settings.api_url} answers (HTTP {answer.status_code})")
    if settings.api_key_id is None:
        remedy = "set SWAPJOBS_API_KEY_ID and SWAPJOBS_API_KEY_SECRET, unless this is the sandbox"
        yield Check("credentials", "warning", "none set", remedy)
    else:
        yield Check("credentials", "ok", "set")


def _secret(settings: WorkerSettings) -> Check:
    if not settings.webhook_secrets:
        remedy = "SWAPJOBS_WEBHOOK_SECRETS=whsec_$(openssl rand -base64 32)"
        return Check("webhook secret", "warning", "none: no webhook can be sent", remedy)
    return Check("webhook secret", "ok", f"{len(settings.webhook_secrets)} set, well-formed")
