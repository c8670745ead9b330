"""The metrics in Prometheus' terms. Needs prometheus_client, a package of the worker's extra.

The labels come from closed sets: no job and no URL is in them; of tenants those that SWAPJOBS_METRICS_TENANTS names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from swapjobs.contract.dispatch_status import PauseReason
from swapjobs.contract.metrics import Metrics
from swapjobs.monitoring import prometheus_counts
from swapjobs.store.dispatch import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from swapjobs.contract.tenant import TenantStatus
    from swapjobs.monitoring.readings import Readings
    from swapjobs.store.dispatch import TrafficSnapshot


class FleetCollector:
    """A collector for prometheus_client: it reads what there is whenever it is asked for the metrics.

    Args:
        read: Gives what there is.
        prices: Tool -> what the vendor charges for a swap, see `CoreSettings.prices`.
    """

    def __init__(self, read: Callable[[], Readings], prices: Mapping[str, float]) -> None:
        self._read = read
        self._prices = prices

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they stand now. What is not known or does not apply has no sample."""
        readings = self._read()
        yield from _dispatch(readings.traffic)
        yield from _capacity(readings)
        yield from prometheus_counts.families(readings.counted, self._prices)


def exposition(readings: Readings, prices: Mapping[str, float]) -> str:
    """Return the metrics in Prometheus' text format; `prices` as `FleetCollector` takes them."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(lambda: readings, prices))
    return generate_latest(registry).decode()


def tenant_exposition(tenant: TenantStatus, counted: Metrics) -> str:
    """Return what a tenant may know: what is queued of its jobs, and how they ended, where it is counted by name."""
    registry = CollectorRegistry()
    registry.register(_OfTenant(tenant, counted))
    return generate_latest(registry).decode()


class _OfTenant:
    def __init__(self, tenant: TenantStatus, counted: Metrics) -> None:
        self._tenant = tenant
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        name, since = self._tenant.tenant, self._tenant.oldest_queued_at
        yield _labelled("tenant_queue_jobs", "Jobs that wait for their turn", "tenant", {name: self._tenant.queued})
        oldest = {name: since.timestamp()} if since else {}
        oldest_help = "When the oldest of them was submitted, as Unix time; no sample where none waits"
        yield _labelled("tenant_queue_oldest_timestamp_seconds", oldest_help, "tenant", oldest)
        counts = self._counted.counts.get("tenant_jobs", {})
        own = {labels: number for labels, number in counts.items() if labels[0] == name}
        yield prometheus_counts.counter("tenant_jobs", Metrics({"tenant_jobs": own}, {}))


def _dispatch(snapshot: TrafficSnapshot) -> Iterator[Metric]:
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
    yield _gauge("rate_limit", "The fleet's limit in calls per second, as the workers have set it", limit)
    rate_help = "Calls per second that may be made now: below the limit after refusals (429) and outages"
    yield _gauge("rate", rate_help, status.rate if limit else None)
    pending = snapshot.numbers["deliveries_pending"]
    yield _gauge("webhooks_pending", "Deliveries that are neither delivered nor given up", pending)
    endpoints = snapshot.numbers["endpoints"]
    yield _gauge("webhook_endpoints", "Registered webhook endpoints, disabled ones too", endpoints)
    for name, meaning in COUNTS.items():
        help_text = meaning[0].upper() + meaning[1:]
        yield CounterMetricFamily(f"swapjobs_{name}", help_text, value=snapshot.counts[name])


def _capacity(readings: Readings) -> Iterator[Metric]:
    oldest_help = "Seconds since the oldest queued job was submitted, of webhooks since the event; 0 with none queued"
    yield _labelled("queue_oldest_age_seconds", oldest_help, "lane", readings.oldest_s)
    yield _gauge("slots", "Slots of all swap workers together", readings.fleet.slots)
    yield _gauge("slots_busy", "Slots that were in a call to the vendor of late, on average", readings.fleet.busy)
    wanted_help = "Slots that would be used now: min(queued and in flight, rate x seconds of a call x 1.15), paused: 0"
    yield _gauge("slots_wanted", wanted_help, readings.slots_wanted)
    used, limit = readings.memory
    yield _gauge("redis_memory_bytes", "Memory that Redis uses", used)
    yield _gauge("redis_memory_limit_bytes", "Memory that Redis may use (maxmemory); 0: no limit", limit)


def _gauge(name: str, help_text: str, value: float | None) -> Metric:
    return GaugeMetricFamily(f"swapjobs_{name}", help_text, value=value)


def _labelled(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"swapjobs_{name}", help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _time(name: str, help_text: str, value: datetime | None) -> Metric:
    return _gauge(f"{name}_timestamp_seconds", help_text, value.timestamp() if value else None)
