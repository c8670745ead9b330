"""The state of the line as Prometheus metrics. Needs prometheus_client, a package of the worker's extra.

The labels come from closed sets: no job, tenant or URL is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from swapjobs.store.dispatch_status import COUNTS, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from prometheus_client import Metric

    from swapjobs.store.dispatch_status import Look


class LineCollector:
    """A collector for prometheus_client: it looks at the line whenever it is asked for the metrics."""

    def __init__(self, look: Callable[[], Look]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they stand now."""
        return families(self._look())


def exposition(look: Look) -> str:
    """Return the metrics of one look in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(LineCollector(lambda: look))
    return generate_latest(registry).decode()


def families(look: Look) -> Iterator[Metric]:
    """Return what one look told. What is not known or does not apply has no sample."""
    line = look.line
    yield _gauge("line_open", "1 while calls to the vendor may be made, 0 while it is closed", line.state == "open")
    closed = GaugeMetricFamily(
        "swapjobs_line_closed", "1 for the reason for which the line is closed, else 0", labels=["reason"]
    )
    for reason in get_args(Why):
        closed.add_metric([reason], line.reason == reason)
    yield closed
    yield _time("line_closed_since", "When the line was closed, as Unix time; no sample while it is open", line.since)
    yield _time("line_opens", "When the pause that the vendor asked for ends, as Unix time", line.opens_at)
    yield _time("next_probe", "When the vendor is asked again at the soonest, as Unix time", line.next_probe_at)
    in_line = GaugeMetricFamily(
        "swapjobs_jobs_in_line", "Jobs that wait for their turn, for a call or for a webhook", labels=["lane"]
    )
    for lane, waiting in look.in_line.items():
        in_line.add_metric([lane], waiting)
    yield in_line
    workers = GaugeMetricFamily(
        "swapjobs_workers", "Worker processes that showed a sign of life in the last 20 s", labels=["kind"]
    )
    for kind, processes in look.workers.items():
        workers.add_metric([kind], processes)
    yield workers
    yield _gauge("calls_in_flight", "Calls to the vendor that are booked or made, and not answered yet", line.in_flight)
    limit = look.rate_limit
    yield _gauge("rate_limit_calls_per_second", "The fleet's rate limit, as the workers have set it", limit)
    rate_help = "The rate at which calls may be made now: below the limit after refusals (429) and outages"
    yield _gauge("rate_calls_per_second", rate_help, line.rate if limit else None)
    yield _gauge(
        "webhook_deliveries_pending",
        "Deliveries that are neither delivered nor given up",
        look.traffic["hooks_pending"],
    )
    yield _gauge("webhook_endpoints", "Registered webhook endpoints, disabled ones too", look.traffic["endpoints"])
    for name, meaning in COUNTS.items():
        help_text = meaning[0].upper() + meaning[1:]
        yield CounterMetricFamily(f"swapjobs_{name}", help_text, value=look.counts[name])


def _gauge(name: str, help_text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"swapjobs_{name}", help_text, value=value)


def _time(name: str, help_text: str, value: datetime | None) -> Metric:
    return _gauge(f"{name}_timestamp_seconds", help_text, value.timestamp() if value else None)
