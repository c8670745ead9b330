"""Starts one worker process of `swapjobs worker`: `python -m swapworker.start -Q QUEUE -c SLOTS -n NAME -l LEVEL`.

It does what `celery -A swapworker.app worker` does with these options, which goes on working, without the rest of
Celery's command line: to load all of its commands, its shell and Flower was a fifth of a worker's start.
"""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the worker until it is stopped; return its exit status."""
    parser = argparse.ArgumentParser("python -m swapworker.start")
    parser.add_argument("-Q", dest="queue", required=True)
    parser.add_argument("-c", dest="slots", type=int, required=True)
    parser.add_argument("-n", dest="name", required=True)
    parser.add_argument("-l", dest="level", default="info")
    given = parser.parse_args(arguments)
    gc.disable()  # what is imported stays: see `app.collect_garbage_less`
    from celery.utils.log import mlevel  # noqa: PLC0415 - as above
    from celery.utils.nodenames import host_format  # noqa: PLC0415 - as above

    from swapworker.app import app  # noqa: PLC0415 - as above

    worker = app.Worker(
        hostname=host_format(given.name),
        queues=given.queue,
        concurrency=given.slots,
        loglevel=mlevel(given.level.upper()),
        optimization="default",
    )
    gc.enable()
    worker.start()
    return worker.exitcode or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
