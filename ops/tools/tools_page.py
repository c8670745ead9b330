"""Writes docs/tools.md from the table of the vendor's tools: python ops/tools/generated_docs.py."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from swapjobs import tools
from swapjobs.contract.vendor_tools.guidance import bounds_of, example_input
from swapjobs.contract.vendor_tools.reply import Family
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.vendor_tools.tool import PREFIX, Mark

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from swapjobs.contract.vendor_tools.tool import Tool

_GIVES: Final = {
    Family.PICTURE: "a picture",
    Family.TEXT: "texts",
    Family.ACKNOWLEDGED: "whatever the vendor answers, as it came; pictures in it as pictures",
    Family.SD_QUERY: "pictures, each with its seed and the vendor's audit",
    Family.LIST: "a list",
}
_HEAD: Final = """\
# The vendor's tools

Every tool is a row of one table, `contract/vendor_tools/table.py`; this page is made of it. A job of any tool is
asked for with `tool` and `input`, and gives `outputs`: pictures, texts, or what the vendor answered. `output_url`
is the first picture. What is not known for sure is marked, and read with care: a row that is wrong about a tool
lets jobs wait or fail, and never makes a success of a failure.

**documented**: the vendor's page says so. **inferred**: a reading of pages and examples. **unknown**: taken as it
comes.

| tool | name in the vendor's index | body | reply | result | callback |
|---|---|---|---|---|---|
"""
_NOT_PUBLIC: Final = (
    *("Hairstyle changer", "Face restoration", "Super Resolution", "Object Removal", "background remove"),
    *("image enlarge", "image watermark"),
)
_UNDECLARED: Final = """
## Tools that are not public

NAMES have no public page. Whoever has the vendor's declares them in a **tools file**, without code: about ten lines
each give checked requests, the command line, HTTP with its schema, the vendor-compatible path, and an answer of the
sandbox. [`ops/tools.example.toml`](../ops/tools.example.toml) has a row for each, with what is not known marked,
and explains every key; `SWAPJOBS_TOOLS_FILE` names the file, for producers, gateway, workers and sandbox alike.
TOML; with `swapjobs[yaml]` YAML too. A file may also tell better what this table has as unknown, under the same
name; the swap tools stay as they are.

```toml
["hair/change"]
title = "Hairstyle changer"
page = "the address of the vendor's page"
result = "outputImageUrl"

["hair/change".input]
image = { type = "url", vendor = "imageUrl", required = true }
style = { type = "integer", range = [1, 20] }
```

Lists of loras, VAEs and embeddings are no tasks and have no public path: they can't be declared.

## What the queue makes of the vendor's ways

- **Results that come later**: a tool that only acknowledges is asked for until its result is there
  (`SWAPJOBS_POLL_BASE_S` and its neighbours; a training every quarter of an hour to two hours, for two days).
- **Callbacks**: with `SWAPJOBS_VENDOR_CALLBACK_URL`, the address at which the vendor reaches the gateway, tools
  that take a `callbackUrl` are told one that nobody can guess. What is posted there is not believed: it lets the
  task be asked for at once. The first question of one's own comes after `SWAPJOBS_VENDOR_CALLBACK_POLL_S`.
- **Ids**: the vendor's examples hold letters, digits and `-`, so ids hold nothing else unless
  `SWAPJOBS_VENDOR_ID_SUFFIX` says otherwise: one's own id where it is such, else the job's id, with `-2` for its
  second use.
- **URLs**: a raw space or a letter beyond ASCII is percent-encoded for the vendor.
- **sd tools** are asked for by the live query, by the vendor's own id too, and by the archive's query, one after
  the other; they are sent again only where none of them knows the task and no reply ever acknowledged it.
"""


def tools_page() -> str:
    """Return the page."""
    lines = [_HEAD.rstrip("\n")]
    for tool in TOOLS.values():
        marks = " | ".join(_mark(tool.marks[what]) for what in ("body", "reply", "result", "callback"))
        lines.append(f"| [`{tool.name}`](#{_anchor(tool)}) | {tool.title} | {marks} |")
    parts = ["\n".join(lines), *map(_section, TOOLS.values())]
    return "\n".join(parts) + "\n" + _UNDECLARED.replace("NAMES", ", ".join(_NOT_PUBLIC))


def _mark(mark: Mark) -> str:
    return mark.value if mark is Mark.DOCUMENTED else f"**{mark.value}**"


def _anchor(tool: Tool) -> str:
    return "".join(char for char in tool.title.lower().replace(" ", "-") if char.isalnum() or char == "-")


def _section(tool: Tool) -> str:
    given = example_input(tool)
    reply = tool.query.reply if tool.query else tool.reply
    parts = [
        f"\n## {tool.title}\n",
        f"`{tool.name}`. {tool.description} Gives {_GIVES[reply.family]}. [The vendor's page]({tool.page});"
        f" `POST {PREFIX}/{tool.path}`." + (f" Note: {tool.note}." if tool.note else ""),
    ]
    if tool.input.model_fields:
        parts.append("\n| field | the vendor's name | |\n|---|---|---|")
        parts += [_row(tool, name, field) for name, field in tool.input.model_fields.items()]
    if tool.input.passes_unknown:
        parts.append("\nThe page could not be read to its end: other fields go to the vendor as they are.")
    parts.append(_examples(tool, given) if tool.is_task else _list_examples())
    return "\n".join(parts)


def _row(tool: Tool, name: str, field: FieldInfo) -> str:
    about = [field.description or "", *bounds_of(tool, name)]
    if field.is_required():
        about.insert(0, "**required**")
    elif field.default is not None:
        about.append(f"the vendor's default: {field.default}")
    theirs = field.alias or name
    return f"| `{name}` | `{theirs}` | {'; '.join(filter(None, about))} |"


def _examples(tool: Tool, given: dict[str, Any]) -> str:
    shown = {name: [*value[:1], "..."] if isinstance(value, list) else value for name, value in given.items()}
    model = next(name for name in tools.__all__ if getattr(tools, name, None) is tool.input)
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in shown.items())
    options = []
    for name, value in given.items():
        values = value[:1] if isinstance(value, list) else [value]
        options += [f"--{name.replace('_', '-')} {shlex.quote(str(item))}" for item in values]
    more = " ..." if any(isinstance(value, list) for value in given.values()) else ""
    body = json.dumps({"tool": tool.name, "input": shown})
    return (
        f"\n```python\nclient.submit(JobRequest(input={model}({arguments})))\n```\n\n"
        f"```sh\nswapjobs run {tool.name} {' '.join(options)}{more}\n"
        f"curl $GATEWAY/v1/jobs -H \"Authorization: Bearer $KEY\" --json '{body}'\n```"
    )


def _list_examples() -> str:
    return (
        "\n```python\nclient.models(page_size=20).rows\n```\n\n```sh\nswapjobs tools models --page-size 20\n"
        'curl "$GATEWAY/v1/models?page_size=20" -H "Authorization: Bearer $KEY"\n```'
    )
