"""The commands that run something: worker, flower, sandbox, demo. Each imports what it runs only when asked."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from swapjobs.cli.together import run_together
from swapjobs.contract.errors import QueueUnavailable, SettingsError
from swapjobs.contract.listening import cannot_listen
from swapjobs.settings import CoreSettings, WorkerSettings, load_settings
from swapjobs.store import keys, redis_health
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import connect

LogLevel = Literal["debug", "info", "warning", "error"]

_FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True}

# Unknown names in the environment are warned about here, in one line, and not again there.
_PYTHON: Final = (sys.executable, "-W", "ignore:unknown setting")

# glibc keeps what a thread frees for that thread, up to 240 kB for every slot (GNU C library manual, "Memory Allocation
# Tunables"). Without these caches a worker's memory stays as it is after its first thousand jobs, for the same CPU.
NO_THREAD_CACHES: Final = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(worker)
    app.command(context_settings=_FORWARDED)(flower)
    app.command(context_settings={**_FORWARDED, "help_option_names": []})(sandbox)
    app.command(context_settings={**_FORWARDED, "help_option_names": []})(demo)


def worker(
    *,
    queues: Annotated[str, typer.Option(help="swaps, webhooks, or both: one process each")] = "swaps,webhooks",
    concurrency: Annotated[int | None, typer.Option(min=1, help="slots of the process")] = None,
    loglevel: Annotated[LogLevel, typer.Option(help="how much is told")] = "info",
) -> None:
    """Run a swap worker and a webhook worker in the foreground, until SIGTERM or Ctrl-C."""
    settings = load_settings(WorkerSettings)
    need("celery", "worker")
    wanted = list(dict.fromkeys(queue.strip() for queue in queues.split(",") if queue.strip()))
    slots = {keys.SWAPS_QUEUE: settings.concurrency, keys.WEBHOOKS_QUEUE: settings.webhook_concurrency}
    if not wanted or set(wanted) - set(slots):
        raise SettingsError(f"--queues {queues!r}: give {' or '.join(slots)}, or both with a comma between")
    _check_redis(settings)
    commands = [worker_command(queue, concurrency or slots[queue], loglevel) for queue in wanted]
    os.environ.setdefault(*NO_THREAD_CACHES)  # noqa: TID251 - read when a process starts
    if len(commands) == 1:
        os.execv(commands[0][0], commands[0])  # noqa: S606 - our own fixed command; signals reach Celery directly
    raise typer.Exit(run_together(commands, alive_file=settings.alive_file, health_port=settings.health_port))


def worker_command(queue: str, concurrency: int, loglevel: str) -> list[str]:
    """Return the command line of one worker process."""
    name = f"{queue}-{os.getpid()}@%h"
    return [*_PYTHON, *("-m", "swapworker.start", "-Q", queue, "-c", str(concurrency), "-n", name, "-l", loglevel)]


def flower(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="where the dashboard listens")] = 5555,
    address: Annotated[str, typer.Option(help="loopback unless you say otherwise")] = "127.0.0.1",
) -> None:
    """Run the dashboard; beyond loopback set FLOWER_BASIC_AUTH=user:password.

    Other options go to Flower, --option=value; `swapjobs flower -- --help` lists them.
    """
    load_settings(WorkerSettings)
    need("flower", "flower")
    if "--help" not in context.args:
        _check_port(address, port)
    command = [*_PYTHON, "-m", "celery", "-A", "swapworker.app", "flower", f"--conf={_flower_config()}"]
    command += [f"--port={port}", f"--address={address}", "--", *context.args]
    # Kubernetes' word on a Service called flower, which Flower would take for its own option: tcp://10.0.0.1:5555
    environment = {name: value for name, value in os.environ.items() if name != "FLOWER_PORT" or value.isdecimal()}  # noqa: TID251 - for Flower
    os.execve(command[0], command, environment)  # noqa: S606 - our own command


def sandbox(context: typer.Context) -> None:
    """Run a local vendor that really swaps faces, for rehearsals; see `swapjobs sandbox --help`."""
    load_settings(CoreSettings)  # which may declare tools
    _run_module("swapsandbox.server", "swapjobs sandbox", context.args)


def demo(context: typer.Context) -> None:
    """Swap real faces through the whole queue on this machine; see `swapjobs demo --help`."""
    _run_module("swapsandbox.demo.run", "swapjobs demo", context.args)


def _run_module(name: str, command: str, args: list[str]) -> None:
    need("starlette", "demo")
    module: Any = importlib.import_module(name)
    sys.argv = [command, *args]
    raise typer.Exit(module.main(args) or 0)


def _check_redis(settings: WorkerSettings) -> None:
    """Tell at once, in one line, what each worker would tell below its banner."""
    with connect(settings) as client, queue_errors():
        problems = [problem for problem in redis_health.server_problems(client) if problem.fatal]
    for problem in problems:
        raise QueueUnavailable(f"Redis is not fit: {problem.what}; {problem.remedy}")


def _check_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        raise SettingsError(cannot_listen(address, port, error, holder="another Flower")) from None


def need(module: str, extra: str) -> None:
    """Refuse a command whose extra is not installed, and name it."""
    if importlib.util.find_spec(module) is None:
        raise SettingsError(f"this command needs more packages: pip install 'swapjobs[{extra}]'")


def _flower_config() -> Path:
    shipped = Path(__file__).parents[1] / "flowerconfig.py"
    return shipped if shipped.is_file() else Path(__file__).parents[3] / "ops" / "flower" / "flowerconfig.py"
