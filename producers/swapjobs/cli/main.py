"""Puts the commands together, and turns what went wrong into one clear line and an exit status."""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from swapjobs import actor
from swapjobs.cli.command_table import AllCommands
from swapjobs.cli.output import out, print_error
from swapjobs.contract.errors import (
    InvalidRequest,
    JobNotFound,
    QueueFull,
    QueueUnavailable,
    SwapjobsError,
    VendorUnavailable,
    WaitTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE, NOT_FOUND, UNAVAILABLE, TIMED_OUT = 2, 3, 4, 5
INTERRUPTED, PIPE_CLOSED = 130, 141  # what a shell gives for SIGINT and SIGPIPE

# The base of all usage errors; typer keeps its name to itself.
_UsageError: Final[type[Any]] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    cls=AllCommands,
    help="A job queue in front of a face-swap API. Settings come from SWAPJOBS_* variables and .env.",
    epilog="Exit status: 0 done, 1 job failed, 2 usage, 3 not found, 4 Redis unavailable, 5 wait timed out.",
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    show_version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    """See the help text of `app`."""
    if show_version:
        from importlib.metadata import version  # noqa: PLC0415 - takes longer than all else of most commands' start

        out.print(f"swapjobs {version('swapjobs')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        out.print(context.get_help(), end="")
        raise typer.Exit(USAGE)


def exit_status(error: SwapjobsError) -> int:
    """Return the exit status for an exception: see the README's table."""
    match error:
        case JobNotFound():
            return NOT_FOUND
        case QueueUnavailable() | QueueFull() | VendorUnavailable():
            return UNAVAILABLE
        case WaitTimeout():
            return TIMED_OUT
        case _:
            return USAGE


def main() -> None:
    """Run the command line."""
    actor.come_by("cli")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = lambda message, *_, **__: print_error("", str(message), what="warning", style="yellow")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = _invoke(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED
    except (_UsageError, SwapjobsError, OSError) as error:
        return _report(error)
    except _redis_error() as error:
        return _report(error)
    return status


def _report(error: Any) -> int:
    """Print one line and return the exit status."""
    status = USAGE
    if isinstance(error, _UsageError):
        path = error.ctx.command_path if error.ctx else "swapjobs"
        text = _usage_text(error)
        print_error("usage", f"{text} (see {path} --help)")
    elif isinstance(error, SwapjobsError):
        print_error(error.code, _message_of(error))
        status = exit_status(error)
    elif isinstance(error, OSError):
        _discard_output()
        print_error("system", str(error))
    else:
        from swapjobs.store.redis_client import in_our_words  # noqa: PLC0415 - for this line only

        print_error("queue_unavailable", f"{in_our_words(error, 'Redis refused: ')}; see swapjobs doctor")
        status = UNAVAILABLE
    return status


def _usage_text(error: Any) -> str:
    """Return what typer says of a wrong use, with our words in the place of those of what checks its values."""
    text: str = error.format_message()
    problems = getattr(error.__cause__, "errors", None)
    if problems is not None:
        from swapjobs.contract.wrong_values import did_you_mean, what_is_wrong  # noqa: PLC0415 - for this line only

        first = problems()[0]
        what = what_is_wrong(first).rstrip(".")
        _, is_choice, choices = what.partition(" is not one of ")
        text = text.replace(str(first["msg"]), what)
        if is_choice:
            text = text.rstrip(".") + did_you_mean(first["input"], choices.replace("'", "").split(", "))
    return text.rstrip(".")


def _invoke(arguments: Sequence[str]) -> int:
    for argument in arguments:
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise InvalidRequest(f"the argument {argument!a} is not UTF-8")
    command = typer.main.get_command(app)
    try:
        # Not `app()`, which prints usage errors as a box of several lines and ends with 1 when a pipe is closed.
        with command.make_context("swapjobs", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def _redis_error() -> type[Exception]:
    from swapjobs.store.redis_client import RedisError  # noqa: PLC0415 - asked for only when something went wrong

    return RedisError


def _message_of(error: SwapjobsError) -> str:
    if isinstance(error, QueueUnavailable) and error.__cause__:  # else Redis answered, but is not as it should be
        from swapjobs.store.redis_advice import advice  # noqa: PLC0415 - for this line only

        return f"{str(error).rstrip('.')}; {advice(error.__cause__)}"
    return str(error)


def _discard_output() -> None:
    """Let nothing be written any more: what is left in the buffer would fail once more when Python ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
