"""The console: how long its pages take with many jobs, and what it costs to let ten people watch the overview.

    python ops/bench/console.py [--jobs 100000] [--tenants 1 1000] [--requests 40] [--watchers 10] [--watch-s 20]

One gateway on core 0; Redis and whoever asks on core 1, so that times are those of one request after the other.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Final

import httpx
from common import Bench, cpu_s, exhaust, request, rss_mb
from gateway_process import start_gateway
from report import Table, finish, parser, percentile, say

if TYPE_CHECKING:
    import argparse

    from swapjobs import SwapClient

PAGES: Final = {
    "overview": "/",
    "jobs, first page": "/jobs",
    "jobs, page 100": "/jobs?cursor={cursor}",
    "jobs, state": "/jobs?state=cancelled",
    "jobs, a filter that fits none": "/jobs?code=no_face",
    "jobs of a tenant": "/jobs?tenant=t0",
    "rows again": "/jobs/rows?id={id}",
    "search by the product's id": "/search?q={product}",
    "job": "/jobs/{id}",
    "vendor": "/vendor",
    "tenants": "/tenants",
    "audit": "/audit",
}
CANCELLED: Final = 2000


def places(client: SwapClient) -> dict[str, str]:
    """Return what stands in the addresses of the pages."""
    cursor = None
    for _ in range(10):
        page = client.list(tenant=None, cursor=cursor, limit=500)
        cursor = page.next_cursor
    job = page.jobs[0]
    return {"cursor": str(cursor), "id": job.id, "product": job.business_task_id}


def pages(bench: Bench, chosen: argparse.Namespace, tenants: int) -> dict[str, dict[str, float]]:
    """Return what each page takes."""
    with bench.client() as client:
        exhaust(client.submit_many(request(n, tenant=f"t{n % tenants}") for n in range(chosen.jobs)))
        for job in client.list(tenant="t0", limit=500).jobs[: CANCELLED // tenants]:
            client.cancel(job.id)
        known = places(client)
    server, url = start_gateway(bench, SWAPJOBS_GATEWAY_KEY_RATE="100000/s")
    result = {}
    with httpx.Client(base_url=f"{url}/console", trust_env=False, timeout=60, follow_redirects=True) as http:
        for name, place in PAGES.items():
            http.get(place.format(**known))
            taken, cpu = [], cpu_s(server.handle)
            for _ in range(chosen.requests):
                began = time.perf_counter()
                answer = http.get(place.format(**known))
                taken.append((time.perf_counter() - began) * 1000)
                if answer.status_code >= 400:  # noqa: PLR2004 - HTTP
                    raise SystemExit(f"{place} answered {answer.status_code}")
            cpu_ms = (cpu_s(server.handle) - cpu) * 1000 / chosen.requests
            result[name] = {
                "median": statistics.median(taken),
                "p95": percentile(taken, 0.95),
                "cpu": cpu_ms,
                "kB": len(answer.content) / 1000,
            }
    return result


async def _watch(url: str, watchers: int, seconds: float) -> int:
    """Let so many people watch the overview; return how often it was told to all of them."""
    seen = 0

    async def one(http: httpx.AsyncClient) -> None:
        nonlocal seen
        async with http.stream("GET", f"{url}/console/live") as answer:
            async for line in answer.aiter_lines():
                seen += line.startswith('data: <section class="judgement')

    limits = httpx.Limits(max_connections=watchers)
    async with httpx.AsyncClient(trust_env=False, timeout=None, limits=limits) as http:
        tasks = [asyncio.create_task(one(http)) for _ in range(watchers)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return seen


def watched(bench: Bench, chosen: argparse.Namespace, *, watchers: int, busy: bool = False) -> dict[str, float]:
    """Return what it costs that the overview is watched: of a queue that changes all the time, or rests."""
    server, url = start_gateway(bench, SWAPJOBS_GATEWAY_KEY_RATE="100000/s")
    with bench.client() as client:

        async def submit(seconds: float) -> None:
            until, number = time.monotonic() + seconds, chosen.jobs
            while time.monotonic() < until:
                number += 1
                await asyncio.to_thread(exhaust, client.submit_many([request(number, tenant="t0")]))
                await asyncio.sleep(0.25)

        async def both() -> tuple[float, float, int]:
            await _watch(url, min(watchers, 1), 2)
            before = cpu_s(server.handle), cpu_s(bench.server)
            others = [submit(chosen.watch_s)] if busy else []
            seen, *_ = await asyncio.gather(_watch(url, watchers, chosen.watch_s), *others)
            return cpu_s(server.handle) - before[0], cpu_s(bench.server) - before[1], seen

        gateway_s, redis_s, seen = asyncio.run(both())
    return {
        "gateway CPU, % of a core": 100 * gateway_s / chosen.watch_s,
        "Redis CPU, % of a core": 100 * redis_s / chosen.watch_s,
        "times told, each": seen / max(watchers, 1),
        "gateway memory, MB": rss_mb(server.handle),
    }


def main() -> None:
    """Run all, and print the tables."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=100_000)
    options.add_argument("--tenants", type=int, nargs="+", default=[1, 1000])
    options.add_argument("--requests", type=int, default=40)
    options.add_argument("--watchers", type=int, default=10)
    options.add_argument("--watch-s", type=float, default=20)
    chosen = options.parse_args()
    tables, samples = [], {}
    for tenants in chosen.tenants:
        with Bench(pinned=True) as bench:
            say(f"console: {chosen.jobs} jobs of {tenants} tenants")
            taken = pages(bench, chosen, tenants)
            table = Table(
                f"{chosen.jobs:,} jobs of {tenants} tenants, {chosen.requests} requests a page",
                ["page", "median, ms", "p95, ms", "CPU of the gateway, ms", "kB"],
            )
            for name, figures in taken.items():
                table.add(name, *figures.values())
            tables.append(table)
            samples[f"pages of {tenants}"] = taken
            watching = {
                "nobody watches": watched(bench, chosen, watchers=0),
                "the queue rests": watched(bench, chosen, watchers=chosen.watchers),
                "it changes": watched(bench, chosen, watchers=chosen.watchers, busy=True),
            }
            table = Table(f"{chosen.watchers} watch the overview, {tenants} tenants", ["what", *watching])
            for figure in watching["it changes"]:
                table.add(figure, *(item[figure] for item in watching.values()))
            tables.append(table)
            samples[f"watched, {tenants}"] = watching
    finish("console", chosen, tables, **samples)


if __name__ == "__main__":
    main()
