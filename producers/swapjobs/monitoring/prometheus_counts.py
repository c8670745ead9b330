"""What was counted in Redis, as Prometheus' counters and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from swapjobs.contract.metrics import BUCKETS_MS
from swapjobs.contract.vendor_tools.table import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from swapjobs.contract.metrics import Histogram, Metrics

_PREFIX: Final = "swapjobs_"
_OTHERS: Final = "other"  # the tenants without a name in the metrics
# Metric -> what is counted (see `Metrics`), its labels, its help.
_COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "submitted": ("submitted", ("tool",), "Jobs that were accepted"),
    "jobs": ("jobs", ("tool", "outcome", "code"), "Jobs that ended, after a retry again; code - where none failed"),
    "vendor_calls": (
        "vendor_calls",
        ("tool", "call", "result"),
        "Calls to the vendor whose outcome was recorded; of a killed worker's it never is",
    ),
    "vendor_billed": ("billed", ("tool",), "Swaps that the vendor did, and so charges for"),
    "tenant_jobs": (
        "tenant_jobs",
        ("tenant", "outcome"),
        "Jobs that ended, by tenant; other: all that SWAPJOBS_METRICS_TENANTS does not name",
    ),
    "webhook_tries": ("webhook_tries", ("result",), "Tries to deliver a webhook"),
}
_HISTOGRAMS: Final[Mapping[str, tuple[str, str, str]]] = {
    "queue_wait_seconds": ("queue_wait", "lane", "From submission to the first attempt, counted as the job ends"),
    "vendor_call_seconds": ("vendor_call", "tool", "How long a call to the vendor took"),
    "job_seconds": ("job", "tool", "From submission to the end"),
    "webhook_lag_seconds": ("webhook_lag", "", "From an event to its delivery"),
}


_OF_TOOLS: Final = frozenset({"submitted", "billed"})
_TRIES: Final = (("delivered",), ("failed",), ("undelivered",))


def _zeros(name: str) -> dict[tuple[str, ...], int]:
    """Return what is there from the beginning: the first jobs would else come to be as a number that never rose."""
    if name in _OF_TOOLS:
        return {(tool.name,): 0 for tool in TOOLS.values() if tool.is_task}
    return dict.fromkeys(_TRIES, 0) if name == "webhook_tries" else {}


def counter(metric: str, counted: Metrics) -> Metric:
    """Return one of the counters."""
    name, labels, help_text = _COUNTERS[metric]
    family = CounterMetricFamily(_PREFIX + metric, help_text, labels=labels)
    for values, number in sorted(_numbers(name, counted).items()):
        family.add_metric([value or _OTHERS for value in values], number)
    return family


def families(counted: Metrics, prices: Mapping[str, float]) -> Iterator[Metric]:
    """Return all of it; `prices`: what the vendor charges for one swap by each tool, where that is known."""
    for metric in _COUNTERS:
        yield counter(metric, counted)
    if prices:
        help_text = "What those swaps cost, by the setting of prices"
        cost = CounterMetricFamily(_PREFIX + "vendor_cost", help_text, labels=["tool"])
        for (tool,), number in sorted(_numbers("billed", counted).items()):
            if tool in prices:
                cost.add_metric([tool], number * prices[tool])
        yield cost
    for metric, (name, label, help_text) in _HISTOGRAMS.items():
        family = HistogramMetricFamily(_PREFIX + metric, help_text, labels=[label] if label else [])
        for value, histogram in sorted(counted.times.get(name, {}).items()):
            family.add_metric([value] if label else [], _cumulative(name, histogram), histogram.sum_s)
        yield family


def _numbers(name: str, counted: Metrics) -> dict[tuple[str, ...], int]:
    return _zeros(name) | dict(counted.counts.get(name, {}))


def _cumulative(name: str, histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [str(bound / 1000) for bound in BUCKETS_MS[name]] + ["+Inf"]
    total, result = 0, list[tuple[str, float]]()
    for bound, number in zip(bounds, histogram.buckets, strict=True):
        total += number
        result.append((bound, total))
    return result
