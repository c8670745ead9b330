"""Writes the two Grafana dashboards: python ops/tools/dashboards.py. A test holds that they are as this writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = "ops/monitoring/grafana/dashboards"
_WIDTH, _HEIGHT = 8, 7  # of 24 columns: three panels in a row

# Title, unit, then legend -> query of each line.
Panel = tuple[str, str, dict[str, str]]

_QUANTILE: Final = "histogram_quantile({share}, sum by (le) (rate(swapjobs_{name}_bucket[$__rate_interval])))"


def _times(name: str) -> dict[str, str]:
    return {f"p{int(share * 100)}": _QUANTILE.format(share=share, name=name) for share in (0.5, 0.95, 0.99)}


SERVICE: Final[list[Panel]] = [
    (
        "Dispatch",
        "short",
        {"running": "swapjobs_dispatch_running", "paused: {{reason}}": "swapjobs_dispatch_paused"},
    ),
    ("Workers", "short", {"{{kind}}": "swapjobs_workers"}),
    (
        "Slots",
        "short",
        {"slots": "swapjobs_slots", "busy": "swapjobs_slots_busy", "wanted": "swapjobs_slots_wanted"},
    ),
    ("Queued", "short", {"{{lane}}": "swapjobs_queue_jobs"}),
    ("Age of the oldest queued", "s", {"{{lane}}": "swapjobs_queue_oldest_age_seconds"}),
    ("Wait for the first attempt", "s", _times("queue_wait_seconds")),
    (
        "Submitted, ended",
        "ops",
        {
            "submitted": "sum(rate(swapjobs_submitted_total[$__rate_interval]))",
            "{{outcome}}": "sum by (outcome) (rate(swapjobs_jobs_total[$__rate_interval]))",
        },
    ),
    (
        "Failures by code",
        "ops",
        {"{{code}}": 'sum by (code) (rate(swapjobs_jobs_total{outcome="failed"}[$__rate_interval]))'},
    ),
    ("From submission to the end", "s", _times("job_seconds")),
    (
        "Webhooks: tries",
        "ops",
        {"{{result}}": "sum by (result) (rate(swapjobs_webhook_tries_total[$__rate_interval]))"},
    ),
    ("Webhooks: from event to delivery", "s", _times("webhook_lag_seconds")),
    (
        "Webhooks pending, Redis' memory",
        "short",
        {
            "pending": "swapjobs_webhooks_pending",
            "memory, % of the limit": "100 * swapjobs_redis_memory_bytes / (swapjobs_redis_memory_limit_bytes > 0)",
        },
    ),
]
VENDOR: Final[list[Panel]] = [
    ("Rate", "reqps", {"limit": "swapjobs_rate_limit", "may be used now": "swapjobs_rate"}),
    ("Calls", "reqps", {"{{call}}": "sum by (call) (rate(swapjobs_vendor_calls_total[$__rate_interval]))"}),
    (
        "Share of the rate that is used",
        "percentunit",
        {
            "of the rate": "sum(rate(swapjobs_vendor_calls_total[$__rate_interval])) / sum(swapjobs_rate)",
            "of the limit": "sum(rate(swapjobs_vendor_calls_total[$__rate_interval])) / sum(swapjobs_rate_limit)",
        },
    ),
    (
        "Answers to swaps",
        "ops",
        {"{{result}}": 'sum by (result) (rate(swapjobs_vendor_calls_total{call="swap"}[$__rate_interval]))'},
    ),
    (
        "Answers to queries",
        "ops",
        {"{{result}}": 'sum by (result) (rate(swapjobs_vendor_calls_total{call="query"}[$__rate_interval]))'},
    ),
    ("Seconds of a call", "s", _times("vendor_call_seconds")),
    ("Calls in flight", "short", {"calls": "swapjobs_calls_in_flight"}),
    (
        "Swaps that were billed, an hour",
        "short",
        {"{{tool}}": "sum by (tool) (increase(swapjobs_vendor_billed_total[1h]))"},
    ),
    ("Cost of a day", "short", {"{{tool}}": "sum by (tool) (increase(swapjobs_vendor_cost_total[1d]))"}),
    (
        "Money at risk, a day",
        "short",
        {
            "maybe paid twice": "increase(swapjobs_maybe_paid_twice_total[1d])",
            "paid, picture unusable": "increase(swapjobs_unusable_pictures_total[1d])",
            "paid, job was stopped": "increase(swapjobs_late_success_total[1d])",
        },
    ),
    (
        "Rescued, fenced off, outages, a day",
        "short",
        {
            "rescued": "increase(swapjobs_rescued_total[1d])",
            "fenced": "increase(swapjobs_fenced_total[1d])",
            "outages": "increase(swapjobs_outages_total[1d])",
        },
    ),
    ("Jobs by tenant", "ops", {"{{tenant}}": "sum by (tenant) (rate(swapjobs_tenant_jobs_total[$__rate_interval]))"}),
]
DASHBOARDS: Final = {"service": ("swapjobs: service", SERVICE), "vendor": ("swapjobs: vendor and money", VENDOR)}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    title, unit, queries = panel
    place = {"h": _HEIGHT, "w": _WIDTH, "x": number % 3 * _WIDTH, "y": number // 3 * _HEIGHT}
    source = {"type": "prometheus", "uid": "prometheus"}
    targets = [
        {"refId": chr(ord("A") + at), "datasource": source, "expr": expr, "legendFormat": legend}
        for at, (legend, expr) in enumerate(queries.items())
    ]
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def generated() -> dict[str, str]:
    """Return each dashboard's path and its text."""
    result = {}
    for name, (title, panels) in DASHBOARDS.items():
        board = {
            "uid": f"swapjobs-{name}",
            "title": title,
            "tags": ["swapjobs"],
            "schemaVersion": 39,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [{"type": "dashboards", "tags": ["swapjobs"], "title": "swapjobs", "asDropdown": False}],
            "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
        }
        result[f"{FOLDER}/{name}.json"] = json.dumps(board, indent=1) + "\n"
    return result


if __name__ == "__main__":
    for path, text in generated().items():
        (ROOT / path).write_text(text, encoding="utf-8")
