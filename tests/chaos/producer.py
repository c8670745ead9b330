"""A producer as users write one: submits a numbered range and tells of each block that was accepted.

    python -m chaos.producer PHASE FIRST END PER_SECOND CALLBACK_URL

A line is `number of the first job, then the outcomes`, as JSON. Killed and started again it goes over the whole range
anew, and only the jobs that are new set its pace.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Final

from chaos.jobs import request
from chaos.waits import pass_time
from swapjobs import QueueUnavailable, SwapClient

BLOCK: Final = 10
_GIVE_UP_S: Final = 60.0


def submit(client: SwapClient, phase: str, numbers: range, callback_url: str) -> list[str]:
    """Submit one block, again and again while Redis is away."""
    until = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            return [item.outcome for item in client.submit_many(request(phase, n, callback_url) for n in numbers)]
        except QueueUnavailable:
            if time.monotonic() > until:
                raise
            pass_time(0.1)


def main() -> None:
    phase, first, end, per_second, callback_url = sys.argv[1:]
    with SwapClient() as client:
        for start in range(int(first), int(end), BLOCK):
            numbers = range(start, min(start + BLOCK, int(end)))
            outcomes = submit(client, phase, numbers, callback_url)
            sys.stdout.write(json.dumps([start, outcomes]) + "\n")
            sys.stdout.flush()
            if "created" in outcomes:
                pass_time(len(numbers) / float(per_second))


if __name__ == "__main__":
    main()
