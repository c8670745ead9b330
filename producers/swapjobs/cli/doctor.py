"""The command doctor: is everything as it should be, and if not, what to do."""

from __future__ import annotations

import importlib.util
import re
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from swapjobs.cli.capacity import PlanOption, print_plan
from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.contract.errors import SettingsError
from swapjobs.monitoring.health import Check, Condition, judge, unreachable
from swapjobs.settings import GatewaySettings, WorkerSettings, load_settings
from swapjobs.store.redis_client import RedisError
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
# OpenSSL of what is no TLS at all: before 3.2, since then.
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG")
_WIDTH = len("webhook secret")


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
    remedy = "correct the variable or the line in .env"
    try:
        with warnings.catch_warnings(record=True) as doubts:
            warnings.simplefilter("always")
            settings = load_settings(WorkerSettings, besides=[GatewaySettings])
    except SettingsError as error:
        yield Check("settings", "problem", str(error), remedy, 2)
        return
    for doubt in doubts:
        yield Check("settings", "warning", str(doubt.message), remedy)
    if not doubts:
        yield Check("settings", "ok", "all valid")
    yield from _queue(settings)
    yield from _vendor(settings)
    yield _secret(settings)


def _queue(settings: WorkerSettings) -> Iterator[Check]:
    with connect(settings) as client:
        try:
            condition = Condition.read(Store(client, settings), fsync=settings.submit_durability == "fsync")
        except RedisError as error:
            yield unreachable(error)
            return
    yield from judge(condition, rate_limit=settings.rate_limit, max_in_flight=settings.max_in_flight)
    if condition.snapshot.numbers["endpoints"] and settings.webhook_master_secret is None:
        remedy = "set SWAPJOBS_WEBHOOK_MASTER_SECRET, the same for clients, gateways and workers"
        yield Check("endpoints", "warning", "no secret to sign for them: their deliveries stay pending", remedy)


def _vendor(settings: WorkerSettings) -> Iterator[Check]:
    if importlib.util.find_spec("httpx") is None:
        yield Check("vendor", "warning", "not looked at", "pip install 'swapjobs[worker]' to check it from here")
        return
    import httpx  # noqa: PLC0415 - comes with the worker's extra

    try:
        answer = httpx.get(settings.api_url, timeout=10, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last from a host name that is none
        yield Check("vendor", "problem", *_why_unreachable(settings.api_url, error))
    else:
        yield Check("vendor", "ok", f"{settings.api_url} answers (HTTP {answer.status_code})")
    if settings.api_key_id is None:
        remedy = "set SWAPJOBS_API_KEY_ID and SWAPJOBS_API_KEY_SECRET, unless this is the sandbox"
        yield Check("credentials", "warning", "none set", remedy)
    else:
        yield Check("credentials", "ok", "set")


def _why_unreachable(url: str, error: Exception) -> tuple[str, str]:
    """Return what was found, and what to do about it."""
    if _NO_TLS.search(str(error)):
        return f"{url} does not speak TLS", "is it http:// in SWAPJOBS_API_URL, or another port?"
    return f"{url} cannot be reached: {error or type(error).__name__}", "check SWAPJOBS_API_URL and the network"


def _secret(settings: WorkerSettings) -> Check:
    if not settings.webhook_secrets:
        remedy = "set SWAPJOBS_WEBHOOK_SECRETS to what this prints: echo whsec_$(openssl rand -base64 32)"
        return Check("webhook secret", "warning", "none: no webhook can be sent", remedy)
    return Check("webhook secret", "ok", f"{len(settings.webhook_secrets)} set, well-formed")
