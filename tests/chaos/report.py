"""What a run has to say: the table for the README, the definitions below it, the counters."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from chaos import faults
from chaos.checks import Account
from chaos.plan import MIXED, Kind
from chaos.stack import LEASE_S, SETTINGS, SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chaos.driver import Result
    from chaos.faults import Injection

_LABELS: Final = {
    Kind.WORKER_KILL: "worker killed (SIGKILL)",
    Kind.WORKER_FREEZE: "worker frozen for longer than its lease",
    Kind.WORKER_STOP: "worker stopped (SIGTERM) and started again",
    Kind.REDIS_KILL: "Redis killed (SIGKILL), back after 0.5 to 3 s",
    Kind.REDIS_FREEZE: "Redis frozen for 1 to 6 s",
    Kind.PRODUCER_KILL: "producer killed (SIGKILL)",
    Kind.HOOKS_KILL: "webhook worker killed (SIGKILL)",
    Kind.RECEIVER_DOWN: "webhook receiver down for 3 to 4 s",
    MIXED: "all of these, overlapping",
}

# Measured with Celery 5.7.0 and kombu 5.7.0, the Redis transport and result backend, Python 3.11, append-only file on
# (everysec). Two workers, threads pool with 50 slots each, 500 jobs of 1 s (kills and stops of a worker) or 2000 jobs
# (Redis; down for 3 s, frozen for 20 s). "Tuned": task_acks_late, task_reject_on_worker_lost,
# worker_prefetch_multiplier 1, visibility_timeout 30 s with a restore interval and throttle of 1; "default": nothing
# set. Lost: no result in the end; twice: the API was called again for a job that it had already answered or was at
# work on. Runs: worker kill 3 tuned, 2 default; SIGTERM 1 and 1; Redis kill 4 tuned, 2 default; Redis frozen 1 and 1
# with a socket timeout of 5 s. What was not measured says so.
_NOT_MEASURED: Final = "not measured"
_NONE: Final = "has no webhooks"
_PLAIN_CELERY: Final = {
    Kind.WORKER_KILL: "tuned: 0 lost, all 50 in flight called twice, after 30 s;"
    " default: 50 of 500 lost, 100 held back for an hour",
    Kind.WORKER_FREEZE: _NOT_MEASURED,
    Kind.WORKER_STOP: "clean, stopped after 2.6 to 2.8 s",
    Kind.REDIS_KILL: "tuned: 0 to 1 of 2,000 lost, 56 to 100 called twice, after 3.9 to 5.1 s;"
    " default: 60 of 2,000 paid and their results lost",
    Kind.REDIS_FREEZE: "0 lost, 0 twice, after 0.2 s; with a socket timeout: 38 of 2,000 called twice",
    Kind.PRODUCER_KILL: _NOT_MEASURED + "; it has no business ids, so a range submitted again is paid again",
    Kind.HOOKS_KILL: _NONE,
    Kind.RECEIVER_DOWN: _NONE,
    MIXED: _NOT_MEASURED,
}
_WORDS: Final = "Lost: accepted, and not final at the end. Paid twice: billed again for the same business id."
_CONDITIONS: Final = f"""\
Lease {LEASE_S:g} s, rate {SETTINGS["SWAPJOBS_RATE_LIMIT"]}, two workers of {SLOTS} slots; submits wait for Redis' disk
(`SWAPJOBS_SUBMIT_DURABILITY=fsync`). The vendor has a bad day all the time: lost replies, 429, 503, resets, pages
instead of JSON, slow tasks. Plain Celery was measured separately: Celery 5.7.0, two workers of 50 threads, 500 to
2,000 jobs, 1 to 5 runs a figure; tuned: late acks, reject on worker lost, prefetch multiplier 1, visibility timeout
30 s."""


def table(result: Result) -> str:
    """Return the Markdown table: a row for each phase, so that what was lost is laid at the right door."""
    rows = [
        f"{datetime.now(UTC):%Y-%m-%d}, seed {result.seed}, {result.seconds / 60:.0f} min:",
        "",
        "| fault | times | jobs | lost | paid twice | recovered after (median, max) | plain Celery |",
        "|---|---|---|---|---|---|---|",
    ]
    for phase, account in result.findings.accounts.items():
        injections = [one for one in result.injections if one.phase == phase]
        rows.append(_row(_LABELS[phase], injections, account, _PLAIN_CELERY[phase]))
    accounts = list(result.findings.accounts.values())
    total = Account(
        accepted=sum(item.accepted for item in accounts),
        lost=sum(item.lost for item in accounts),
        paid_twice=sum(item.paid_twice for item in accounts),
    )
    if len(accounts) > 1:
        rows.append(_row("**all**", result.injections, total, "", recovery=False))
    return "\n".join(rows)


def _row(label: str, injections: list[Injection], account: Account, plain: str, *, recovery: bool = True) -> str:
    cells = [
        label,
        f"{len(injections)}",
        f"{account.accepted:,}",
        f"{account.lost}",
        f"{account.paid_twice}",
        _recovery(injections) if recovery else "",
        plain,
    ]
    return f"| {' | '.join(cells)} |"


def _recovery(injections: Iterable[Injection]) -> str:
    struck = [one for one in injections if one.held != 0]
    times = [one.recovered_s for one in struck if one.recovered_s is not None]
    result = [f"{statistics.median(times):.1f} s, {max(times):.1f} s"] if times else []
    if len(times) < len(struck):
        result.append(f"{len(struck) - len(times)} never")
    return "; ".join(result) or "nothing hung on it"


def below(result: Result) -> str:
    """Return what belongs below the table: what recovered means, and the conditions."""
    definitions = (faults.__doc__ or "").partition("\n\n")[2].strip()
    idle = sum(one.held == 0 for one in result.injections)
    left_out = f"{idle} of {len(result.injections)} faults had nothing hanging on them: left out of these times."
    return "\n".join([f"{_WORDS} Recovered means:", "", definitions, "", left_out, _CONDITIONS])


def counters(result: Result) -> str:
    """Return the counts that explain a run: what was struck, the product's own counters, vendor, receiver, exits."""
    findings = result.findings
    struck = Counter(one.kind.value for one in result.injections)
    states = sum((account.states for account in findings.accounts.values()), Counter())
    vendor = {name: value for name, value in findings.stats.items() if isinstance(value, int)}
    again = dict(sorted(findings.webhook_tries.items()))
    lines = [
        f"faults: {dict(struck)}",
        f"jobs: {dict(states)}",
        f"swapjobs: {dict(sorted(findings.counts.items()))}",
        f"vendor: {vendor}",
        f"most calls within a second: {findings.busiest_second}, the limit is {SETTINGS['SWAPJOBS_RATE_LIMIT']}",
        f"webhook ids by number of deliveries: {again}",
        f"processes that ended otherwise than told: {len(result.exits)}",
    ]
    ends = Counter(f"{one.name} {one.what}: {_last_line(one.output)}" for one in result.exits)
    return "\n".join([*lines, *(f"  {times} x {what}" for what, times in ends.most_common())])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else ""
