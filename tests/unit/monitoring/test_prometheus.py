"""The metrics as Prometheus reads them: names, types, labels, values; and no counter of the scripts is forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import swapjobs
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.monitoring.prometheus import FleetCollector, exposition
from swapjobs.monitoring.readings import Readings
from swapjobs.store.dispatch import COUNTS, TrafficSnapshot
from swapjobs.store.fleet_state import FIELDS, OUTAGES
from swapjobs.store.metrics import metrics_of
from swapjobs.store.worker_usage import Fleet

NOW_MS = 1_800_000_000_000
IN_LINE = {"interactive": 2, "bulk": 100_000, "webhooks": 3}
TRIPPED = {
    **FIELDS,
    "limits": 1,
    "rate": 4.5,
    "tripped": OUTAGES.index("vendor_outage"),
    "tripped_at": NOW_MS - 5500,
    "probe_at": NOW_MS + 250,
    "in_flight": 4,
}
COUNTED = {"outages": "2", "fenced": "1"}
METRICS = {
    "submitted roop": "7",
    "jobs roop succeeded -": "5",
    "jobs roop failed no_face": "2",
    "vendor_calls roop swap succeeded": "5",
    "billed roop": "5",
    "billed v2/roop": "1",
    "tenant_jobs  succeeded": "4",
    "tenant_jobs acme succeeded": "1",
    "webhook_tries delivered": "3",
    "queue_wait_bucket bulk 1": "2",
    "queue_wait_bucket bulk 12": "1",
    "queue_wait_ms bulk": "86400500",
    "webhook_lag_bucket - 2": "3",
    "webhook_lag_ms -": "900",
    "of_a_newer_version x": "1",
    "new_times_bucket x 3": "1",
}
OLDEST = {"interactive": 2.5, "bulk": 0.0, "webhooks": 0.0}
LUA = Path(swapjobs.__file__).parent / "store" / "lua"


def readings(
    traffic: dict[str, float], counts: dict[str, str], metrics: dict[str, str], *, call_s: float | None = None
) -> Readings:
    snapshot = TrafficSnapshot(traffic, counts, NOW_MS, IN_LINE)
    return Readings(snapshot, metrics_of(metrics), Fleet(2, 64, 12.5, call_s), OLDEST, (512, 1024))


def seen(**traffic: float) -> Readings:
    """Return a look at queues that no worker has seen yet, but for `traffic`."""
    return readings({**FIELDS, "rate": 5, **traffic}, {}, {})


def read(look: Readings) -> dict[str, Any]:
    """Return the metrics by name, as Prometheus would parse them."""
    return {family.name: family for family in text_string_to_metric_families(exposition(look, {"roop": 0.02}))}


def samples(look: Readings) -> dict[str, float]:
    """Return the value of each sample by its name and labels."""
    result = [sample for family in read(look).values() for sample in family.samples]
    return {":".join([sample.name, *sample.labels.values()]): sample.value for sample in result}


TASKS = [tool.name for tool in TOOLS.values() if tool.is_task]
# What is told from the beginning, so that it rises with the first job.
ZEROS = {
    f"swapjobs_{name}_total:{label}": 0
    for name, labels in (
        ("submitted", tuple(TASKS)),
        ("vendor_billed", tuple(TASKS)),
        ("vendor_cost", ("roop",)),
        ("webhook_tries", ("delivered", "failed", "undelivered")),
    )
    for label in labels
}


def test_the_metrics_while_dispatch_is_paused() -> None:
    assert samples(readings(TRIPPED, COUNTED, {})) == ZEROS | {
        "swapjobs_dispatch_running": 0,
        "swapjobs_dispatch_paused:manual": 0,
        "swapjobs_dispatch_paused:rate_limit": 0,
        "swapjobs_dispatch_paused:vendor_outage": 1,
        "swapjobs_dispatch_paused:credentials_rejected": 0,
        "swapjobs_dispatch_paused:quota_exhausted": 0,
        "swapjobs_dispatch_paused_since_timestamp_seconds": NOW_MS / 1000 - 5.5,
        "swapjobs_next_probe_timestamp_seconds": NOW_MS / 1000 + 0.25,
        "swapjobs_queue_jobs:interactive": 2,
        "swapjobs_queue_jobs:bulk": 100_000,
        "swapjobs_queue_jobs:webhooks": 3,
        "swapjobs_calls_in_flight": 4,
        "swapjobs_rate_limit": 5,
        "swapjobs_rate": 4.5,
        "swapjobs_webhooks_pending": 0,
        "swapjobs_webhook_endpoints": 0,
        "swapjobs_rescued_total": 0,
        "swapjobs_maybe_paid_twice_total": 0,
        "swapjobs_late_success_total": 0,
        "swapjobs_vendor_callbacks_total": 0,
        "swapjobs_unusable_pictures_total": 0,
        "swapjobs_fenced_total": 1,
        "swapjobs_outages_total": 2,
        "swapjobs_queue_oldest_age_seconds:interactive": 2.5,
        "swapjobs_queue_oldest_age_seconds:bulk": 0,
        "swapjobs_queue_oldest_age_seconds:webhooks": 0,
        "swapjobs_slots": 64,
        "swapjobs_slots_busy": 12.5,
        "swapjobs_slots_wanted": 0,
        "swapjobs_redis_memory_bytes": 512,
        "swapjobs_redis_memory_limit_bytes": 1024,
    }


def test_what_was_counted() -> None:
    result = samples(readings({**FIELDS, "rate": 5}, {}, METRICS))
    shown = {name: value for name, value in result.items() if "_total:" in name or "_queue_wait_" in name}
    bounds = ("0.5", "1.0", "5.0", "15.0", "60.0", "300.0", "900.0", "3600.0", "14400.0", "86400.0")
    assert shown == ZEROS | {
        "swapjobs_submitted_total:roop": 7,
        "swapjobs_jobs_total:-:succeeded:roop": 5,
        "swapjobs_jobs_total:no_face:failed:roop": 2,
        "swapjobs_vendor_calls_total:swap:succeeded:roop": 5,
        "swapjobs_vendor_billed_total:roop": 5,
        "swapjobs_vendor_billed_total:v2/roop": 1,
        "swapjobs_vendor_cost_total:roop": 0.1,
        "swapjobs_tenant_jobs_total:succeeded:other": 4,
        "swapjobs_tenant_jobs_total:succeeded:acme": 1,
        "swapjobs_webhook_tries_total:delivered": 3,
        "swapjobs_queue_wait_seconds_bucket:bulk:0.1": 2,
        **{f"swapjobs_queue_wait_seconds_bucket:bulk:{bound}": 2 for bound in bounds},
        "swapjobs_queue_wait_seconds_bucket:bulk:+Inf": 3,
        "swapjobs_queue_wait_seconds_count:bulk": 3,
        "swapjobs_queue_wait_seconds_sum:bulk": 86400.5,
    }
    assert (result["swapjobs_webhook_lag_seconds_count"], result["swapjobs_webhook_lag_seconds_sum"]) == (3, 0.9)


def test_slots_are_wanted_for_the_rate_and_the_backlog_and_none_while_dispatch_is_paused() -> None:
    def wanted(*, call_s: float | None = 2.0, metrics: dict[str, str] | None = None, **traffic: float) -> float:
        look = readings({**FIELDS, "rate": 5, **traffic}, {}, metrics or {}, call_s=call_s)
        return samples(look)["swapjobs_slots_wanted"]

    assert wanted() == 12  # 5/s x 2 s x 1.15
    assert wanted(max_in_flight=8) == 8
    assert wanted(rate=1e6) == sum(IN_LINE[lane] for lane in ("interactive", "bulk"))
    assert wanted(tripped=1, tripped_at=NOW_MS) == wanted(paused_manually=NOW_MS) == 0
    assert wanted(call_s=None) == 6  # nothing is known of calls yet: as if they took a second
    calls = {"vendor_call_bucket roop 4": "10", "vendor_call_ms roop": "20000"}
    assert wanted(call_s=None, metrics=calls) == 12


def test_what_does_not_apply_has_no_sample() -> None:
    """So that `time() - swapjobs_dispatch_paused_since_timestamp_seconds` is silent while dispatch is running."""
    result = samples(seen())
    assert result["swapjobs_dispatch_running"] == 1
    assert not any("timestamp" in name or "_per_second" in name for name in result)
    paused = samples(seen(paused_until=NOW_MS + 30_000))
    assert paused["swapjobs_dispatch_resumes_timestamp_seconds"] == NOW_MS / 1000 + 30
    assert paused["swapjobs_dispatch_paused:rate_limit"] == 1


def test_names_and_types_follow_prometheus_conventions_and_each_has_its_help() -> None:
    kinds = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_count", "_sum"}}
    for name, family in read(readings(TRIPPED, COUNTED, METRICS)).items():
        assert re.fullmatch(r"swapjobs_[a-z_]+", name)
        assert family.documentation.endswith(tuple("abcdefghijklmnopqrstuvwxyz0."))
        assert {sample.name.removeprefix(name) for sample in family.samples} <= kinds[family.type], name
        # as a gauge the name says what is measured: time stamps carry their unit, no gauge looks like a counter
        assert name.endswith("_timestamp_seconds") == ("Unix time" in family.documentation)


def test_a_server_may_collect_again_and_again() -> None:
    """As the gateway's /metrics will: one look for each time it is asked, none before."""
    looks = [seen(in_flight=1), seen(in_flight=2)]
    registry = CollectorRegistry()
    registry.register(FleetCollector(lambda: looks.pop(0), {}))
    assert len(looks) == 2
    assert registry.get_sample_value("swapjobs_calls_in_flight") == 1
    assert registry.get_sample_value("swapjobs_calls_in_flight") == 2


def test_every_count_of_the_scripts_is_among_the_metrics() -> None:
    texts = [path.read_text() for path in LUA.rglob("*.lua") if path.name != "counters.lua"]
    counted = {name for text in texts for name in re.findall(r"\bcounters\.add\('(\w+)'\)", text)}
    assert counted == set(COUNTS)
    assert not [call for text in texts for call in re.findall(r"\bcounters\.add\([^')]*\)", text)], "can't be read here"
    assert {f"swapjobs_{name}_total" for name in COUNTS} <= set(samples(seen()))
