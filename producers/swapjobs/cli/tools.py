"""The command tools: what the vendor offers, and how well it is known."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from swapjobs.cli.output import JsonFlag, out, print_fields, print_json
from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.vendor_tools.guidance import bounds_of
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.wrong_values import did_you_mean
from swapjobs.settings import CoreSettings, load_settings

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.tool import Tool

_PAGE_SIZE: Final = 10

_app = typer.Typer(help="The vendor's tools: what they take and give, and how well that is known.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app, name="tools")


@_app.callback(invoke_without_command=True)
def list_tools(context: typer.Context, *, as_json: JsonFlag = False) -> None:
    """List the tools, those of SWAPJOBS_TOOLS_FILE with them; `show TOOL` tells more of one."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@_app.command("list")
def list_again(*, as_json: JsonFlag = False) -> None:
    """List the tools, as `swapjobs tools` alone does."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    load_settings(CoreSettings)
    if as_json:
        print_json([described(tool) for tool in TOOLS.values()])
        return
    widths = [max(len(getattr(tool, name)) for tool in TOOLS.values()) for name in ("name", "title")]
    for tool in TOOLS.values():
        known = ", ".join(f"{what} {mark}" for what, mark in tool.marks.items() if mark != "documented")
        where = "tools file" if tool.is_declared else known or "documented"
        print_fields(out, (tool.name, widths[0], "bold"), (tool.title, widths[1], ""), (where, 0, "dim"))


@_app.command()
def show(name: Annotated[str, typer.Argument(metavar="TOOL")], *, as_json: JsonFlag = False) -> None:
    """Tell what a tool takes and gives."""
    load_settings(CoreSettings)
    tool = TOOLS.get(name)
    if tool is None:
        raise no_tool(name)
    if as_json:
        print_json(described(tool))
        return
    out.print(f"{tool.name}: {tool.title}. {tool.description}", markup=False, soft_wrap=True)
    for field, about in tool.input.model_fields.items():
        text = "; ".join(filter(None, [about.description, *bounds_of(tool, field)]))
        print_fields(out, (field, 28, "bold"), ("required" if about.is_required() else "", 8, ""), (text, 0, ""))
    marks = ", ".join(f"{what} {mark}" for what, mark in tool.marks.items())
    for label, text in (("known", marks), ("note", tool.note), ("page", tool.page)):
        if text:
            print_fields(out, (label, 28, "dim"), (text, 0, "dim"))


@_app.command()
def models(
    *,
    page: Annotated[int, typer.Option(min=1, help="which page")] = 1,
    page_size: Annotated[int, typer.Option(min=1, max=1000, help="rows of a page")] = _PAGE_SIZE,
    checkpoint: Annotated[str | None, typer.Option(help="only this model")] = None,
    name: Annotated[str | None, typer.Option(help="only models of this name")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the models that the sd tools can draw with: asked of the vendor now, by a worker."""
    with SwapClient() as client:
        listed = client.models(page_num=page, page_size=page_size, sd_model_checkpoint=checkpoint, sd_model_name=name)
    if as_json:
        print_json(listed.model_dump(mode="json"))
        return
    for row in listed.rows:
        shown = [str(row.get(field) or "") for field in ("sdModelCheckpoint", "sdModelName", "modelBaseModel")]
        print_fields(out, (shown[0], 40, "bold"), (shown[1], 24, ""), (shown[2], 0, "dim"))
    out.print(f"{len(listed.rows)} of {listed.total}", soft_wrap=True)
    if page * page_size < listed.total:
        size = page_size if page_size != _PAGE_SIZE else None
        same = {"--page-size": size, "--checkpoint": checkpoint, "--name": name}
        again = [f"{option} {shlex.quote(str(value))}" for option, value in same.items() if value is not None]
        print_fields(out, (" ".join([f"more: --page {page + 1}", *again]), 0, "dim"))


def no_tool(name: str) -> InvalidRequest:
    """Return the error of a name that is no tool's."""
    return InvalidRequest(f"{name!a} is no tool that swapjobs tools lists{did_you_mean(name, TOOLS)}", field="tool")


def described(tool: Tool) -> dict[str, Any]:
    """Return a row of the table as JSON."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "path": tool.path,
        "input": tool.input.model_json_schema(by_alias=False),
        "reply": tool.reply.family.value,
        "callback": tool.takes_callback,
        "known": {what: mark.value for what, mark in tool.marks.items()},
        "page": tool.page,
        "note": tool.note,
        "declared": tool.is_declared,
    }
