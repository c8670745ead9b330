"""The metrics as Prometheus reads them: names, types, labels, values; and no counter of the scripts is forgotten."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import swapjobs
from swapjobs.monitoring.prometheus import DispatchCollector, exposition
from swapjobs.store.dispatch import COUNTS, TrafficSnapshot
from swapjobs.store.fleet_state import FIELDS, OUTAGES

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
LUA = Path(swapjobs.__file__).parent / "store" / "lua"


def seen(**traffic: float) -> TrafficSnapshot:
    """Return a look at a line that no worker has seen yet, but for `traffic`."""
    return TrafficSnapshot({**FIELDS, "rate": 5, **traffic}, {}, NOW_MS, IN_LINE)


def read(look: TrafficSnapshot) -> dict[str, Any]:
    """Return the metrics by name, as Prometheus would parse them."""
    return {family.name: family for family in text_string_to_metric_families(exposition(look))}


def samples(look: TrafficSnapshot) -> dict[str, float]:
    """Return the value of each sample by its name and label."""
    result = [sample for family in read(look).values() for sample in family.samples]
    return {":".join([sample.name, *sample.labels.values()]): sample.value for sample in result}


def test_the_metrics_while_dispatch_is_paused() -> None:
    assert samples(TrafficSnapshot(TRIPPED, COUNTED, NOW_MS, IN_LINE)) == {
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
        "swapjobs_rate_limit_calls_per_second": 5,
        "swapjobs_rate_calls_per_second": 4.5,
        "swapjobs_webhook_deliveries_pending": 0,
        "swapjobs_webhook_endpoints": 0,
        "swapjobs_rescued_total": 0,
        "swapjobs_maybe_paid_twice_total": 0,
        "swapjobs_late_success_total": 0,
        "swapjobs_unusable_pictures_total": 0,
        "swapjobs_fenced_total": 1,
        "swapjobs_outages_total": 2,
    }


def test_what_does_not_apply_has_no_sample() -> None:
    """So that `time() - swapjobs_dispatch_paused_since_timestamp_seconds` is silent while dispatch is running."""
    result = samples(seen())
    assert result["swapjobs_dispatch_running"] == 1
    assert not any("timestamp" in name or "_per_second" in name for name in result)
    paused = samples(seen(paused_until=NOW_MS + 30_000))
    assert paused["swapjobs_dispatch_resumes_timestamp_seconds"] == NOW_MS / 1000 + 30
    assert paused["swapjobs_dispatch_paused:rate_limit"] == 1


def test_names_and_types_follow_prometheus_conventions_and_each_has_its_help() -> None:
    for name, family in read(TrafficSnapshot(TRIPPED, COUNTED, NOW_MS, IN_LINE)).items():
        assert re.fullmatch(r"swapjobs_[a-z_]+", name)
        assert family.documentation.endswith(tuple("abcdefghijklmnopqrstuvwxyz0"))
        assert family.type == ("counter" if name.removeprefix("swapjobs_") in COUNTS else "gauge"), name
        # as a gauge the name says what is measured: time stamps carry their unit, no gauge looks like a counter
        assert name.endswith("_timestamp_seconds") == ("Unix time" in family.documentation)


def test_a_server_may_collect_again_and_again() -> None:
    """As the gateway's /metrics will: one look for each time it is asked, none before."""
    looks = [seen(in_flight=1), seen(in_flight=2)]
    registry = CollectorRegistry()
    registry.register(DispatchCollector(lambda: looks.pop(0)))
    assert len(looks) == 2
    assert registry.get_sample_value("swapjobs_calls_in_flight") == 1
    assert registry.get_sample_value("swapjobs_calls_in_flight") == 2


def test_every_count_of_the_scripts_is_among_the_metrics() -> None:
    texts = [path.read_text() for path in LUA.rglob("*.lua") if path.name != "counters.lua"]
    counted = {name for text in texts for name in re.findall(r"\bcounters\.add\('(\w+)'\)", text)}
    assert counted == set(COUNTS)
    assert not [call for text in texts for call in re.findall(r"\bcounters\.add\([^')]*\)", text)], "can't be read here"
    assert {f"swapjobs_{name}_total" for name in COUNTS} <= set(samples(seen()))
