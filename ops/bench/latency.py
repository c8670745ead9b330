"""Latency of an idle system: from submit to the result read, in sequence.

    python ops/bench/latency.py [--jobs 300]

Ours by `SwapClient.submit` and `wait`, plain Celery by `apply_async().get()`; one worker each, a vendor that answers at
once. Twenty jobs before the measured ones are not counted.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from common import HERE, KINDS, OURS, PLAIN, Bench, request
from report import finish, parser, percentile, say, versus

from swapjobs import SwapRequest

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP = 20


def ours(bench: Bench) -> Callable[[int], object]:
    """Return what submits a job and waits for its end."""
    client = bench.client()

    def swap(number: int) -> object:
        job = client.submit(SwapRequest.model_validate(request(number, priority="interactive")))
        return client.wait(job.id, 30).output_url

    return swap


def plain(bench: Bench) -> Callable[[int], object]:
    """Return the same for plain Celery."""
    os.environ.update(bench.environment(PLAIN))  # noqa: TID251 - read by the module when it is imported
    sys.path.insert(0, str(HERE))
    import plain_celery  # noqa: PLC0415 - after its settings are known

    return lambda number: plain_celery.swap.apply_async(kwargs=request(number)).get(timeout=30)


def measure(kind: str, jobs: int) -> list[float]:
    """Return each job's latency in ms."""
    with Bench() as bench:
        bench.workers(kind)
        swap, taken = (ours if kind == OURS else plain)(bench), []
        for number in range(WARM_UP + jobs):
            began = time.perf_counter()
            if not swap(number):
                raise SystemExit(f"{kind}: job {number} has no result")
            taken.append((time.perf_counter() - began) * 1000)
        return taken[WARM_UP:]


def main() -> None:
    """Run both and print the table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=300)
    chosen = options.parse_args()
    table = versus(f"Idle latency, submit to result read, {chosen.jobs} in sequence")
    samples: dict[str, Any] = {}
    for kind in KINDS:
        say(f"latency: {kind}")
        samples[kind] = measure(kind, chosen.jobs)
    for share in (0.5, 0.95, 0.99):
        table.compare(f"p{share * 100:g}, ms", *(percentile(samples[kind], share) for kind in KINDS))
    finish("latency", chosen, [table], **samples)


if __name__ == "__main__":
    main()
