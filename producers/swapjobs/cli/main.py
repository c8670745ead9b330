"""Puts the commands together, and turns our exceptions into one clear line and an exit status."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from swapjobs.cli import batch, doctor, jobs, services
from swapjobs.errors import JobNotFound, QueueFull, QueueUnavailable, SwapjobsError, WaitTimeout

app = typer.Typer(
    help="A job queue in front of a face-swap API. Settings come from SWAPJOBS_* variables and .env.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (jobs, batch, services, doctor):
    module.register(app)

USAGE, NOT_FOUND, UNAVAILABLE, TIMED_OUT = 2, 3, 4, 5


def exit_status(error: SwapjobsError) -> int:
    """Return the exit status for an exception: see the README's table."""
    match error:
        case JobNotFound():
            return NOT_FOUND
        case QueueUnavailable() | QueueFull():
            return UNAVAILABLE
        case WaitTimeout():
            return TIMED_OUT
        case _:
            return USAGE


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SwapjobsError as error:
        Console(stderr=True).print(f"[red]error[/] [dim]({error.code})[/]", end=" ")
        Console(stderr=True, highlight=False, markup=False).print(str(error), soft_wrap=True)
        sys.exit(exit_status(error))
