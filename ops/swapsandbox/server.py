"""Start the sandbox vendor: `python -m swapsandbox.server`, or `run(SandboxOptions(...))`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swapjobs.contract.vendor_tools.table import declare
from swapjobs.contract.vendor_tools.tools_file import ToolsFileError, read_tools
from swapsandbox.serving import PortUnavailable, RemoteHostRefused, check_host, serve
from swapsandbox.vendor.app import build_app
from swapsandbox.vendor.engine import Engine, EngineUnavailable
from swapsandbox.vendor.faults import FaultError, read_fault
from swapsandbox.vendor.rate_limit import RateError, RateLimit, parse_rate
from swapsandbox.vendor.service import Vendor

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT: Final = 8790

START_ERRORS: Final = (
    EngineUnavailable,
    FaultError,
    OSError,
    PortUnavailable,
    RateError,
    RemoteHostRefused,
    ToolsFileError,
)
"""What `run` raises when the options can't be followed; the text of each is meant for the user."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How to run the sandbox.

    Attributes:
        host: The address to listen on.
        port: 0 takes a free one.
        faults: Faults in their compact form (see `swapsandbox.vendor.faults`), the first that applies wins.
        seed: Of the faults' random numbers.
        no_swap: Fetch and swap nothing; every call succeeds at once with the same picture.
        rate: The vendor's own limit, e.g. `5/s`; None is unlimited.
        burst: So many calls may come at once under that limit.
        key_id: With `key_secret`: the credentials that calls must carry. None accepts any.
        key_secret: See `key_id`.
        workers: Processes that swap faces.
        allow_remote: Whether `host` may be another than a loopback address.
        tools_file: Tools that are declared there are answered too.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    faults: Sequence[str] = ()
    seed: int = 0
    no_swap: bool = False
    rate: str | None = None
    burst: int = 2
    key_id: str | None = None
    key_secret: str | None = field(default=None, repr=False)
    workers: int = 1
    allow_remote: bool = False
    tools_file: str | None = None


def run(options: SandboxOptions) -> None:
    """Run the sandbox in the foreground until SIGINT or SIGTERM; call it from the main thread.

    Raises:
        RemoteHostRefused: the host is not a loopback address and `allow_remote` is not set.
        FaultError: a fault can't be read.
        RateError: the rate can't be read.
        EngineUnavailable: the face swap can't be loaded (not with `no_swap`).
        PortUnavailable: the address can't be listened on.
        ToolsFileError, OSError: the tools file can't be read.
    """
    check_host(options.host, allow_remote=options.allow_remote)
    if options.tools_file:
        declare(read_tools(Path(options.tools_file).read_text(encoding="utf-8"), options.tools_file))
    faults = [read_fault(fault) for fault in options.faults]
    limit = RateLimit(parse_rate(options.rate), options.burst) if options.rate else None
    credentials = (options.key_id or "", options.key_secret or "")
    with contextlib.ExitStack() as stack:
        vendor = Vendor(
            engine=None if options.no_swap else stack.enter_context(Engine(options.workers)),
            first_faults=faults,
            seed=options.seed,
            limit=limit,
            credentials=credentials if any(credentials) else None,
        )
        app = build_app(vendor)
        serve(app, name="sandbox", host=options.host, port=options.port, on_stop=vendor.stopping.set)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 after a signal, 2 if the options can't be followed."""
    parser = argparse.ArgumentParser(
        prog=sys.argv[0] if sys.argv[0].startswith("swapjobs ") else "python -m swapsandbox.server",
        description="A local vendor that really swaps faces.",
    )
    defaults = SandboxOptions()
    parser.add_argument("--host", default=defaults.host, help=f"where it listens; {defaults.host} where it is left out")
    parser.add_argument(
        "--port", type=int, default=defaults.port, help=f"{defaults.port} where it is left out; 0 takes a free one"
    )
    parser.add_argument("--fault", action="append", default=[], dest="faults", metavar="FAULT", help="repeatable")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the faults' random numbers")
    parser.add_argument("--no-swap", action="store_true", help="every call succeeds at once, for load tests")
    parser.add_argument("--rate", help="the vendor's own limit, e.g. 5/s or 300/m")
    parser.add_argument("--burst", type=int, default=defaults.burst, help="calls at once under that limit")
    parser.add_argument("--key-id", help="credentials that calls must carry")
    parser.add_argument("--key-secret", help="goes with --key-id")
    parser.add_argument("--workers", type=int, default=defaults.workers, help="processes that swap faces")
    parser.add_argument("--allow-remote", action="store_true", help="permit a host beyond this machine")
    parser.add_argument("--tools-file", help="tools that are declared there, as by SWAPJOBS_TOOLS_FILE")
    options = SandboxOptions(**vars(parser.parse_args(arguments)))
    try:
        run(options)
    except START_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command line speaks
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
