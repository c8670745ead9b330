"""The state of dispatch as Prometheus metrics. Needs prometheus_client, a package of the worker's extra.

The labels come from closed sets: no job, tenant or URL is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from swapjobs.contract.dispatch_status import PauseReason
from swapjobs.store.dispatch import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from swapjobs.store.dispatch import TrafficSnapshot


class DispatchCollector:
    """A collector for prometheus_client: it inspects the fleet whenever it is asked for the metrics."""

    def __init__(self, inspect: Callable[[], TrafficSnapshot]) -> None:
        self._inspect = inspect

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they stand now."""
        return families(self._inspect())


def exposition(snapshot: TrafficSnapshot) -> str:
    """Return the metrics of one snapshot in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(DispatchCollector(lambda: snapshot))
    return generate_latest(registry).decode()


def families(snapshot: TrafficSnapshot) -> Iterator[Metric]:
    """Return what one snapshot shows. What is not known or does not apply has no sample."""
    status, limit = snapshot.status, snapshot.rate_limit
    running = status.state == "running"
    yield _gauge("dispatch_running", "1 while calls to the vendor may be made, 0 while dispatch is paused", running)
    reasons = {reason: float(status.reason == reason) for reason in get_args(PauseReason)}
    yield _labelled("dispatch_paused", "1 for the reason for which dispatch is paused, else 0", "reason", reasons)
    since_help = "When dispatch was paused, as Unix time; no sample while it is running"
    yield _time("dispatch_paused_since", since_help, status.since)
    yield _time("dispatch_resumes", "When the pause that the vendor asked for ends, as Unix time", status.resumes_at)
    yield _time("next_probe", "When the vendor is asked again at the soonest, as Unix time", status.next_probe_at)
    queued_help = "Jobs that wait for their turn, for a call or for a webhook"
    yield _labelled("queue_jobs", queued_help, "lane", snapshot.queued)
    workers_help = "Worker processes that showed a sign of life in the last 20 s"
    yield _labelled("workers", workers_help, "kind", snapshot.workers)
    in_flight_help = "Calls to the vendor that are booked or made, and not answered yet"
    yield _gauge("calls_in_flight", in_flight_help, status.in_flight)
    yield _gauge("rate_limit_calls_per_second", "The fleet's rate limit, as the workers have set it", limit)
    rate_help = "The rate at which calls may be made now: below the limit after refusals (429) and outages"
    yield _gauge("rate_calls_per_second", rate_help, status.rate if limit else None)
    pending = snapshot.numbers["deliveries_pending"]
    yield _gauge("webhook_deliveries_pending", "Deliveries that are neither delivered nor given up", pending)
    endpoints = snapshot.numbers["endpoints"]
    yield _gauge("webhook_endpoints", "Registered webhook endpoints, disabled ones too", endpoints)
    for name, meaning in COUNTS.items():
        help_text = meaning[0].upper() + meaning[1:]
        yield CounterMetricFamily(f"swapjobs_{name}", help_text, value=snapshot.counts[name])


def _gauge(name: str, help_text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"swapjobs_{name}", help_text, value=value)


def _labelled(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"swapjobs_{name}", help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _time(name: str, help_text: str, value: datetime | None) -> Metric:
    return _gauge(f"{name}_timestamp_seconds", help_text, value.timestamp() if value else None)
