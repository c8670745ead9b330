"""The command run: a job of any tool, its options made of what the tool takes."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

import typer
from typer.core import TyperGroup

from swapjobs.cli import jobs
from swapjobs.cli.output import JsonFlag
from swapjobs.cli.tools import no_tool
from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.request import parse_request
from swapjobs.contract.vendor_tools.guidance import bounds_of
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.settings import CoreSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

    from swapjobs.contract.vendor_tools.tool import Tool

_EMPTY: Final = inspect.Parameter.empty
_COMMON: Final[dict[str, tuple[Any, Any]]] = {
    "business_task_id": (jobs.OwnId, None),
    "callback_url": (jobs.WebhookUrl, None),
    "tenant": (jobs.JobTenant, "default"),
    "priority": (jobs.JobPriority, "interactive"),
    "metadata": (jobs.Metadata, None),
    "expires_in": (jobs.ExpiresIn, None),
    "batch_id": (jobs.BatchId, None),
    "wait_for_end": (jobs.WaitForEnd, False),
    "timeout_s": (jobs.TimeoutS, 600),
    "as_json": (JsonFlag, False),
}
_OWN: Final = "own_"  # before the names of the tool's fields, of which one may be called like one of ours
_MORE: Final = "more_fields"


class _Tools(TyperGroup):
    """The tools as commands, those of the tools file with them."""

    def list_commands(self, _: Any) -> list[str]:
        """Return their names."""
        load_settings(CoreSettings)
        return [tool.name for tool in TOOLS.values() if tool.is_task]

    def get_command(self, context: Any, name: str) -> Any:
        """Return the command of a tool."""
        if name not in self.list_commands(context):
            if name.startswith("-"):  # which typer takes for an option that there is not
                return None
            raise no_tool(name)
        app = typer.Typer(add_completion=False)
        app.command(name, help=_help_of(TOOLS[name]))(_command_of(TOOLS[name]))
        return typer.main.get_command(app)


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(cls=_Tools, help="Submit a job of any tool: swapjobs run TOOL --help tells what it takes.")
    group.callback()(lambda: None)
    app.add_typer(group, name="run", subcommand_metavar="TOOL [OPTIONS]")


def _help_of(tool: Tool) -> str:
    note = f"\n\n{tool.note[:1].upper()}{tool.note[1:]}." if tool.note else ""
    return f"{tool.title}: {tool.description}{note}"


def _command_of(tool: Tool) -> Callable[..., None]:
    """Return a function whose parameters are the tool's fields and the options that all jobs have."""
    parameters = {_OWN + name: _option_of(tool, name, field) for name, field in tool.input.model_fields.items()}
    if tool.input.passes_unknown:
        text = "a field that is not listed here, as the vendor's page has it"
        parameters[_MORE] = (Annotated[list[str] | None, typer.Option("--field", metavar="NAME=JSON", help=text)], None)

    def command(**given: Any) -> None:
        own = {name: given.pop(_OWN + name) for name in tool.input.model_fields}
        more = jobs.named(given.pop(_MORE, None), "--field")
        taken = {name: value for name, value in own.items() if value not in (None, [])}
        taken |= {name: _json(text) for name, text in more.items()}
        for name, field in tool.input.model_fields.items():
            if _is_json(field) and isinstance(taken.get(name), str):
                taken[name] = _json(taken[name])
        ends = jobs.End(given.pop("wait_for_end"), given.pop("timeout_s"), given.pop("as_json"))
        request = parse_request({"tool": tool.name, "input": taken, **jobs.common_fields(**given)})
        jobs.send(request, ends)

    names = {**parameters, **_COMMON}
    command.__annotations__ = {name: kind for name, (kind, _) in names.items()}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # where inspect looks first
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in names.items()
        ]
    )
    return command


def _option_of(tool: Tool, name: str, field: FieldInfo) -> tuple[Any, Any]:
    """Return the option of a field: a text, which the tool's model reads, but for lists and switches."""
    plain = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    kind = field.annotation if get_origin(field.annotation) in {list, dict} else plain[0]
    flag = "--" + name.replace("_", "-")
    default = (
        [f"the vendor's default: {field.default}"] if field.default is not None and not field.is_required() else []
    )
    about = "; ".join(filter(None, [field.description, *bounds_of(tool, name), *default]))
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=about)], None
    if get_origin(kind) is list:
        return Annotated[list[str], typer.Option(flag, metavar="URL", help=about)], ...
    option = typer.Option(flag, metavar=_metavar(field, plain), help=about)
    return (Annotated[str, option], _EMPTY) if field.is_required() else (Annotated[str | None, option], None)


def _metavar(field: FieldInfo, plain: list[Any]) -> str:
    if field.annotation is not None and all(isinstance(kind, str | int) for kind in plain):
        return "|".join(map(str, plain))
    if any("uri" in str(mark) for mark in field.metadata):
        return "URL"
    return {int: "INTEGER", float: "NUMBER"}.get(plain[0], "JSON" if _is_json(field) else "TEXT")


def _is_json(field: FieldInfo) -> bool:
    kinds = get_args(field.annotation) or (field.annotation,)
    return any(get_origin(kind) is dict for kind in (*kinds, field.annotation))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if text[:1] in {"{", "[", '"'}:
            raise InvalidRequest(f"{text[:60]!a}: is not JSON") from None
        return text
