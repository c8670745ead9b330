"""What the vendor's callbacks save: questions for tasks that it works on, and time until their end is known.

    python ops/bench/callbacks.py [--jobs 200] [--seconds 20]

Jobs of a tool that acknowledges first and takes a callback (outpainting); the sandbox is done with each after so many
seconds. Once asked again and again with the default pauses, once with the gateway called back.
"""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from common import OURS, Bench, wait
from report import Table, finish, parser, percentile, say

from swapjobs.contract.vendor_tools.image_tools import Outpainting
from swapjobs.contract.vendor_tools.table import name_of
from swapsandbox.processes.redis_server import free_port
from swapsandbox.processes.server_process import sandbox

if TYPE_CHECKING:
    import argparse

_WAYS = {"asked again and again": False, "called back": True}


def measure(options: argparse.Namespace, *, called_back: bool) -> dict[str, float]:
    """Let all jobs end, and return what that took."""
    fault = f"pending:s={options.seconds:g}"
    with Bench() as bench, sandbox("--no-swap", "--fault", fault) as vendor, httpx.Client(trust_env=False) as http:
        bench.api_url = vendor.url
        settings = {}
        if called_back:
            port = free_port()
            settings = {"SWAPJOBS_VENDOR_CALLBACK_URL": f"http://127.0.0.1:{port}"}
            bench.start(["-m", "swapjobs", "gateway", "--port", str(port)], core=1, **bench.environment(OURS))
            wait(lambda: _is_ready(http, port), "the gateway is ready", 60)
        bench.workers(OURS, **settings)
        with bench.client() as client:
            given: dict[str, Any] = {
                "image_count": 2,
                "vertical_expansion_ratio": 1.5,
                "horizontal_expansion_ratio": 1.5,
            }
            given["source_image"] = f"{vendor.url}/pictures/hopper.jpg"
            asked = {"tool": name_of(Outpainting), "input": given}
            ids = [str(item.id) for item in client.submit_many([asked] * options.jobs)]
            jobs = [client.wait(id_, options.seconds + 300) for id_ in ids]
        tasks: dict[str, Any] = http.get(f"{vendor.url}/_sandbox/tasks").json()
        stats: dict[str, Any] = http.get(f"{vendor.url}/_sandbox/stats").json()
        done = {job.business_task_id: job.finished_at or datetime.now(UTC) for job in jobs}
        late = [done[id_].timestamp() - task["done_at"] for id_, task in tasks.items()]
        return {
            "queries_per_job": stats["queries"] / options.jobs,
            "known_after_s": statistics.median(late),
            "known_after_p99_s": percentile(late, 0.99),
            "callbacks": stats["callbacks"],
            "billed": stats["billed"],
        }


def _is_ready(http: httpx.Client, port: int) -> bool:
    try:
        return http.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.HTTPError:
        return False


def main() -> None:
    """Run both and print the table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=200)
    options.add_argument("--seconds", type=float, default=20)
    chosen = options.parse_args()
    samples: dict[str, Any] = {}
    for way, called_back in _WAYS.items():
        say(f"callbacks: {way}")
        samples[way] = measure(chosen, called_back=called_back)
    title = f"{chosen.jobs} tasks that the vendor works on for {chosen.seconds:g} s"
    table = Table(title, ["", *_WAYS])
    for figure, what in (
        ("queries_per_job", "questions to the vendor per job"),
        ("known_after_s", "from finished to known, s, median"),
        ("known_after_p99_s", "the same, p99"),
        ("callbacks", "callbacks taken"),
        ("billed", "billed"),
    ):
        table.add(what, *(samples[way][figure] for way in _WAYS))
    finish("callbacks", chosen, [table], **samples)


if __name__ == "__main__":
    main()
