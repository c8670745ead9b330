"""All commands with their one-line helps: a command's module, and what it needs, is loaded when the command is called.

So `swapjobs --help` loads none of them, and `swapjobs submit` no other. That the lines are those of the commands
themselves is tested.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

MODULES: Final = {
    "jobs": {
        "submit": "Submit one swap job; jobs of other tools are submitted by `swapjobs run`.",
        "status": "Show how a job stands; without an ID, how dispatch stands.",
        "wait": "Wait until a job is final and show it; exit status 0 succeeded, 1 failed, 5 not yet.",
        "cancel": "Cancel a job; one that is final already stays as it is.",
    },
    "listing": {"list": "List jobs by the time of their creation, newest first."},
    "submit_batch.command": {
        "submit-batch": "Submit many jobs from a CSV file with a header, or from JSON lines.",
    },
    "retry": {"retry": "Let failed jobs run again, with new attempts; the old ones stay in the history."},
    "forget": {
        "forget": "Delete what is kept of finished jobs: URLs, metadata, attempts; only that the ids were used stays"
        " known.",
    },
    "audit": {
        "audit": "Tell what was changed by hand, newest first: of 90 days, and of the last 100,000 changes.",
    },
    "dispatch": {
        "pause": "Pause dispatch for all workers: no call to the vendor is begun until resume.",
        "resume": "Resume dispatch after a manual pause; where failing calls paused it, let the vendor be probed at"
        " once.",
        "rate": "Tell the rate of calls to the vendor: the limit, what is used of it now, why, and since when.",
        "restored": "Say that Redis was restored from a backup: jobs are looked up at the vendor before they are sent.",
        "metrics": "Print the metrics in Prometheus' text format, as for node_exporter's textfile collector.",
    },
    "tenants": {
        "tenants": "List the tenants that have jobs or limits of their own: what is queued, since when, and their"
        " limits.",
        "tenant": "Change a tenant's own limits, or show them; what is not given stays as it is.",
    },
    "services": {
        "worker": "Run a swap worker and a webhook worker in the foreground, until SIGTERM or Ctrl-C.",
        "flower": "Run the dashboard; beyond loopback set FLOWER_BASIC_AUTH=user:password.",
        "sandbox": "Run a local vendor that really swaps faces, for rehearsals; see `swapjobs sandbox --help`.",
        "demo": "Swap real faces through the whole queue on this machine; see `swapjobs demo --help`.",
    },
    "gateway": {"gateway": "Serve HTTP in the foreground, until SIGTERM or Ctrl-C."},
    "doctor": {
        "doctor": "Check settings, Redis, dispatch, the vendor and the webhook secret, and say what to do.",
    },
    "run_tool": {"run": "Submit a job of any tool: swapjobs run TOOL --help tells what it takes."},
    "tools": {"tools": "The vendor's tools: what they take and give, and how well that is known."},
    "batch": {"batch": "Groups of jobs: submit a file as one, watch it, steer it, and make its report."},
    "operation": {"operation": "Retry, cancel or forget all jobs that fit a filter; it goes on in the workers."},
    "webhooks": {"webhooks": "Webhooks: the endpoints that are told of events, and every delivery."},
    "keys": {"keys": "Keys of the HTTP gateway: make, list, revoke."},
}
_MODULE_OF: Final = {name: module for module, commands in MODULES.items() for name in commands}


def load(name: str) -> Any:
    """Return a command as its module registers it."""
    app = typer.Typer(add_completion=False)
    gc.disable()  # what is imported stays: to look for garbage among it, at the end once more, was a tenth of the time
    try:
        import_module(f"swapjobs.cli.{_MODULE_OF[name]}").register(app)
    finally:
        gc.freeze()
        gc.enable()
    # The options of the module's other commands would be made too.
    app.registered_commands = [command for command in app.registered_commands if _name_of(command) == name]
    return typer.main.get_group(app).commands[name]


def _name_of(command: Any) -> str:
    return str(command.name or typer.main.get_command_name(command.callback.__name__))


class AllCommands(TyperGroup):
    """The commands of the table; each is loaded when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        lines = {name: line for commands in MODULES.values() for name, line in commands.items()}
        self.commands = {name: TyperCommand(name, help=line) for name, line in lines.items()}

    def get_command(self, _: Any, name: str) -> Any:
        """Return a command as its module registers it; None where there is none of this name."""
        return load(name) if name in _MODULE_OF else None

    def format_help(self, context: Any, formatter: Any) -> None:
        """Tell of the commands by their lines alone."""
        overview = TyperGroup(
            name=self.name, commands=dict(self.commands), params=self.params, help=self.help, epilog=self.epilog
        )
        overview.format_help(context, formatter)
