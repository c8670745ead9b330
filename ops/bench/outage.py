"""A vendor outage with a long queue: jobs failed, calls made, time until the full rate; beside plain Celery.

    python ops/bench/outage.py [--minutes 5] [--jobs 20000] [--rate 50] [--celery-jobs 500]

After 20 good seconds the vendor answers 503 to everything for so many minutes, then works. Two workers each. Plain
Celery gets its jobs when the outage begins and retries five times with backoff and jitter (500 jobs, no rate limit of
its own), at the same time, against a vendor of its own with the same outage.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import redis

from swapjobs import CoreSettings, SwapClient
from swapsandbox.processes.redis_server import EmbeddedRedis
from swapsandbox.processes.server_process import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OK = 200
GOOD_S = 20


@contextlib.contextmanager
def workers(app: str, folder: Path, **environment: str) -> Iterator[None]:
    """Run two Celery workers of this app."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", app, "worker", "-P", "threads", "-c", "50", "-n", f"{app}{n}@%h"],
            env={**os.environ, "PYTHONPATH": str(HERE), **environment},  # noqa: TID251 - for a child
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for n in (1, 2)
    ]
    try:
        yield
    finally:
        for item in started:
            item.send_signal(signal.SIGTERM)
        for item in started:
            item.wait(60)


def answered(vendor: str) -> list[float]:
    """Return when the calls arrived that were answered well."""
    calls = httpx.get(f"{vendor}/_sandbox/calls", timeout=60).json()
    return sorted(call["at"] for call in calls if call["status"] == OK)


def outage(url: str, *, over: bool) -> None:
    """Begin or end a vendor's outage."""
    faults = [] if over else ["http_503:on=all"]
    httpx.put(f"{url}/_sandbox/faults", json=faults).raise_for_status()


def full_rate_after(times: list[float], end: float, rate: float) -> float:
    """Return the seconds from the end of the outage to the first second in which 97 % of the rate was used."""
    for time_ in times:
        if sum(time_ <= other < time_ + 1 for other in times) >= 0.97 * rate:
            return time_ - end
    return float("nan")


def states(client: Any, ids: list[str]) -> Counter[str]:
    """Count the plain Celery jobs by state."""
    values = client.mget([f"celery-task-meta-{id_}" for id_ in ids])
    return Counter("PENDING" if value is None else value.split('"status": "')[1].split('"')[0] for value in values)


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--celery-jobs", type=int, default=500)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, theirs = (stack.enter_context(EmbeddedRedis(folder / name)) for name in ("ours", "theirs"))
        vendor, other = (stack.enter_context(sandbox("--no-swap")).url for _ in range(2))
        limits = {
            "SWAPJOBS_REDIS_URL": ours.url,
            "SWAPJOBS_API_URL": vendor,
            "SWAPJOBS_RATE_LIMIT": f"{options.rate}/s",
        }
        bench = {"BENCH_REDIS_URL": theirs.url, "BENCH_API_URL": other}
        stack.enter_context(workers("swapworker.app", folder, **limits))
        stack.enter_context(workers("plain_celery", folder, **bench))
        client = stack.enter_context(SwapClient(CoreSettings(redis_url=ours.url)))
        urls = {"source_url": "https://img.example/s.jpg", "target_url": "https://img.example/t.jpg"}
        ids = [str(item.id) for item in client.submit_many({**urls} for _ in range(options.jobs))]
        os.environ.update(bench)  # noqa: TID251 - read by the module when it is imported
        sys.path.insert(0, str(HERE))
        import plain_celery  # noqa: PLC0415 - after its settings are known

        time.sleep(GOOD_S)
        before = httpx.get(f"{vendor}/_sandbox/stats").json()
        outage(vendor, over=False)
        outage(other, over=False)
        began = time.time()
        results = [plain_celery.swap_with_retry.delay(*urls.values(), f"b{n}").id for n in range(options.celery_jobs)]
        raw = redis.Redis.from_url(theirs.url, decode_responses=True)
        failures, last_failure = 0, began
        while time.time() < began + options.minutes * 60:
            time.sleep(1)
            if (now_failed := states(raw, results)["FAILURE"]) > failures:
                failures, last_failure = now_failed, time.time()
        after = httpx.get(f"{vendor}/_sandbox/stats").json()
        calls = sum(after[kind] - before[kind] for kind in ("calls", "queries"))
        celery_calls = httpx.get(f"{other}/_sandbox/stats").json()["calls"]
        end = time.time()
        outage(vendor, over=True)
        outage(other, over=True)
        time.sleep(30)
        times = [time_ for time_ in answered(vendor) if time_ > end]
        failed = sum(client.get(id_).state == "failed" for id_ in ids)
        charged = sum(client.get(id_).failed_attempts > 0 for id_ in ids)
        print(f"outage of {options.minutes:g} min, two workers each")
        print(f"  swapjobs, {options.jobs} jobs at {options.rate}/s: {failed} failed, {charged} charged an attempt,")
        print(f"    {calls} calls made; first answer {times[0] - end:.1f} s after the end,")
        print(f"    full rate after {full_rate_after(times, end, options.rate):.1f} s")
        print(f"  plain Celery, {len(results)} jobs: {failures} failed, the last after {last_failure - began:.0f} s;")
        print(f"    {celery_calls} calls made")


if __name__ == "__main__":
    main()
