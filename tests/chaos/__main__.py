"""The chaos run on the command line: `PYTHONPATH=tests python -m chaos`, or `make chaos`.

Exit status: 0 when every promise was kept, 1 when a check failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chaos import report
from chaos.driver import Driver
from chaos.plan import Kind, Plan
from chaos.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos.driver import Result


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break everything, and check the promises.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the faults and their times")
    parser.add_argument("--jobs", type=int, default=5000, help="at least so many")
    parser.add_argument("--worker-kills", type=int, default=50)
    parser.add_argument("--worker-freezes", type=int, default=10)
    parser.add_argument("--worker-stops", type=int, default=10)
    parser.add_argument("--redis-kills", type=int, default=10)
    parser.add_argument("--redis-freezes", type=int, default=5)
    parser.add_argument("--producer-kills", type=int, default=10)
    parser.add_argument("--hooks-kills", type=int, default=5)
    parser.add_argument("--receiver-downs", type=int, default=5)
    parser.add_argument("--mixed", type=int, default=4, help="of each kind in the last phase, where they overlap")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    apart = {kind: int(vars(options)[kind.replace("-", "_") + "s"]) for kind in Kind}
    return Plan(apart=apart, mixed=dict.fromkeys(Kind, options.mixed), jobs=options.jobs)


def tell(result: Result) -> None:
    say("")
    for text in (report.table(result), report.below(result), report.counters(result)):
        say(text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="swapjobs-chaos-"))
    say(f"seed {options.seed}")
    stored = False
    try:
        with Stack(folder, seed=options.seed) as stack:
            result = Driver(stack, plan_of(options), options.seed, say).run()
        tell(result)
        if not result.findings.problems:
            return 0
        stored = True
        for problem in result.findings.problems:
            say(f"FAILED: {problem}\n")
        for child in stack.children:
            say(f"--- the end of {child.log}\n{child.tail()}")
    except KeyboardInterrupt:
        say("stopped")
        return 130
    finally:
        for item in (folder / "redis", folder / "tmp") if stored else (folder,):
            shutil.rmtree(item, ignore_errors=True)
    say(f"FAILED: {len(result.findings.problems)} checks, seed {options.seed}; the logs are in {stack.logs}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
