"""The HTTP gateway: submits by 50 clients at a time beside bare FastAPI, and 1,000 open waits and event streams.

    python ops/bench/gateway.py [--requests 4000] [--clients 50] [--rounds 3] [--open 1000] [--idle-s 10]
        [--queued 0]

One server process on core 0; Redis and the load generator, a process of its own that writes ready-made bytes, on core
1. All servers run with the same settings of uvicorn. CPU per request is what to compare: the rest depends on what else
the machine does. With `--queued` so many jobs lie in the gateway's Redis before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, Final

from common import HERE, OURS, Bench, Process, cpu_s, request, rss_mb, wait
from report import Table, finish, parser, percentile, say

from swapsandbox.processes.redis_server import free_port

HOST: Final = "127.0.0.1"
KEY: Final = "the-key-of-the-benchmark"
GATEWAY, BARE, THREADED = "gateway", "bare FastAPI", "bare FastAPI, in a thread"
PATHS: Final = {GATEWAY: "/v1/jobs", BARE: "/async", THREADED: "/thread"}
WARM_UP: Final = 300
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


# -- the load generator


def raw(method: str, path: str, body: str = "", *headers: str) -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {KEY}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of an answer with a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    match = _LENGTH.search(head)
    return int(head[9:12]), await reader.readexactly(int(match[1]) if match else 0)


async def submit_all(port: int, path: str, clients: int, first: int, count: int) -> tuple[list[float], float]:
    """Submit so many jobs, each client one after the other; return latencies in ms, and the seconds for all."""
    numbers = iter(range(first, first + count))
    taken: list[float] = []

    async def one_client() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for number in numbers:
            data = raw("POST", path, json.dumps(request(number)))
            began = time.perf_counter()
            writer.write(data)
            status, body = await answer(reader)
            taken.append((time.perf_counter() - began) * 1000)
            if status != 202:  # noqa: PLR2004 - HTTP
                raise SystemExit(f"{path} answered {status}: {body!r}")
        writer.close()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one_client())
    return taken, time.perf_counter() - began


# -- the servers


def start(bench: Bench, kind: str) -> tuple[Process, int]:
    """Start a server and return when it listens."""
    port = free_port()
    if kind == GATEWAY:
        settings = {"SWAPJOBS_GATEWAY_KEYS": f"bench:{KEY}", "SWAPJOBS_GATEWAY_KEY_RATE": "1000000/s"}
        command, settings["SWAPJOBS_REDIS_URL"] = ["-m", "swapjobs", "gateway", "--port", str(port)], bench.redis_url
    else:
        command, settings = [str(HERE / "bare.py"), str(port)], {"BENCH_REDIS_URL": bench.redis_url}
    server = bench.start(command, core=0, **settings)

    def listens() -> bool:
        server.check()
        return any(
            net_connection.laddr.port == port
            for net_connection in server.handle.net_connections()
            if net_connection.status == "LISTEN"
        )

    wait(listens, f"{kind} listens", 30)
    return server, port


def load(kind: str, chosen: argparse.Namespace) -> dict[str, float]:
    """Return what submits cost one server."""
    with Bench(pinned=True) as bench:
        if kind == GATEWAY and chosen.queued:
            bench.fill(OURS, chosen.queued, first=WARM_UP + chosen.requests)
        server, port = start(bench, kind)
        arguments = [str(port), PATHS[kind], str(chosen.clients)]

        def generate(first: int, count: int) -> dict[str, Any]:
            command = ["taskset", "-c", "1", sys.executable, __file__, "--generate", *arguments, str(first), str(count)]
            ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            output: dict[str, Any] = json.loads(ran.stdout)
            return output

        generate(0, WARM_UP)
        before = cpu_s(server.handle), cpu_s(bench.server)
        output = generate(WARM_UP, chosen.requests)
        after = cpu_s(server.handle), cpu_s(bench.server)
    per = 1e6 / chosen.requests
    return {
        "requests/s": chosen.requests / output["seconds"],
        "p50, ms": percentile(output["ms"], 0.5),
        "p99, ms": percentile(output["ms"], 0.99),
        "server CPU, us a request": (after[0] - before[0]) * per,
        "Redis CPU, us a request": (after[1] - before[1]) * per,
    }


# -- what is open for long


async def hold(
    port: int, ids: list[str], *, events: bool, server: Process, idle_s: float, end: Any
) -> dict[str, float]:
    """Open a wait or an event stream for each job, look at what that costs, end all jobs; see that all are told."""
    memory, cpu = rss_mb(server.handle), cpu_s(server.handle)
    ends: list[float] = []

    async def one(id_: str, is_open: asyncio.Semaphore) -> bool:
        reader, writer = await asyncio.open_connection(HOST, port, limit=4096)
        if events:
            writer.write(raw("GET", f"/v1/jobs/{id_}/events"))
            await reader.readuntil(b"event: queued")
        else:
            writer.write(raw("GET", f"/v1/jobs/{id_}", "", "Prefer: wait=60"))
        is_open.release()
        if events:
            await reader.readuntil(b"event: cancelled")
            result = True
        else:
            _, body = await answer(reader)
            result = b'"state":"cancelled"' in body
        ends.append(time.perf_counter())
        writer.close()
        return result

    opened = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(one(id_, opened)) for id_ in ids]
    for _ in ids:
        await opened.acquire()
    await asyncio.sleep(3)  # all have been looked at and subscribed
    cost_s, held = cpu_s(server.handle) - cpu, rss_mb(server.handle)
    cpu = cpu_s(server.handle)
    await asyncio.sleep(idle_s)
    idle_cpu = cpu_s(server.handle) - cpu
    cpu, began = cpu_s(server.handle), time.perf_counter()
    await asyncio.to_thread(end)
    ended = time.perf_counter()
    result = await asyncio.wait_for(asyncio.gather(*tasks), 50)
    return {
        "open at once": float(len(ids)),
        "told of the end": float(sum(result)),
        "memory for each, kB": (held - memory) * 1000 / len(ids),
        "CPU to open one, us": cost_s * 1e6 / len(ids),
        "CPU while all are idle, share of a core": idle_cpu / idle_s,
        "CPU to tell one, us": (cpu_s(server.handle) - cpu) * 1e6 / len(ids),
        "jobs ended within, s": ended - began,
        "last one told after the last end, s": max(0.0, max(ends) - ended),
    }


def held(chosen: argparse.Namespace, *, events: bool) -> dict[str, float]:
    """Return what open waits or event streams cost."""
    with Bench(pinned=True) as bench:
        server, port = start(bench, GATEWAY)
        with bench.client() as client:
            requests = (request(number, tenant="bench") for number in range(chosen.open + WARM_UP))
            ids = [str(item.id) for item in client.submit_many(requests)]

            def end(ids: list[str]) -> None:
                for id_ in ids:
                    client.cancel(id_)

            rest = {"events": events, "server": server}
            warm = ids[chosen.open :]
            asyncio.run(hold(port, warm[:20], idle_s=1, end=lambda: end(warm), **rest))
            ids = ids[: chosen.open]
            return asyncio.run(hold(port, ids, idle_s=chosen.idle_s, end=lambda: end(ids), **rest))


def main() -> None:
    """Run all, and print the tables."""
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=4000)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--open", type=int, default=1000)
    options.add_argument("--idle-s", type=float, default=10)
    options.add_argument("--queued", type=int, default=0)
    options.add_argument("--generate", nargs=5, help=argparse.SUPPRESS)  # how it runs itself
    chosen = options.parse_args()
    if chosen.generate:
        port, path, clients, first, count = chosen.generate
        taken, seconds = asyncio.run(submit_all(int(port), path, int(clients), int(first), int(count)))
        print(json.dumps({"ms": taken, "seconds": seconds}))
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited by the servers
    samples: dict[str, list[dict[str, float]]] = {kind: [] for kind in PATHS}
    for _ in range(chosen.rounds):
        for kind, taken in samples.items():
            say(f"gateway: {kind}")
            taken.append(load(kind, chosen))
    title = f"{chosen.requests} submits by {chosen.clients} clients at a time, median of {chosen.rounds} rounds"
    table = Table(title, ["what", *PATHS, "gateway / bare", "lowest / highest round of the gateway"])
    for figure in samples[GATEWAY][0]:
        ours, *others = (statistics.median(sample[figure] for sample in taken) for taken in samples.values())
        rounds = [sample[figure] for sample in samples[GATEWAY]]
        table.add(figure, ours, *others, ours / others[0], min(rounds) / max(rounds))
    opened = {}
    for what, events in (("waits", False), ("event streams", True)):
        say(f"gateway: {what}")
        opened[what] = held(chosen, events=events)
    long = Table("Open at once in one process", ["what", *opened])
    for figure in opened["waits"]:
        long.add(figure, *(taken[figure] for taken in opened.values()))
    finish("gateway", chosen, [table, long], load=samples, open=opened)


if __name__ == "__main__":
    main()
