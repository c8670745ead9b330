"""A row of the table: what there is to know of one tool of the vendor's."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from swapjobs.contract.vendor_tools.reply import Family, Reply
from swapjobs.contract.vendor_tools.swaps import SwapInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapjobs.contract.vendor_tools.tool_input import ToolInput

PREFIX: Final = "/AIGCImgOpenServ/saas"
_OF_TOOLS: Final = "tool/"
QUERY: Final = "/queryTask"


class Mark(StrEnum):
    """How well something is known."""

    DOCUMENTED = "documented"  # the vendor's page says so
    INFERRED = "inferred"  # a reading of pages and examples
    UNKNOWN = "unknown"  # taken as it comes


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask for a task: the path, and whether by the caller's id or by the vendor's own."""

    path: str
    by: Literal["caller", "vendor"] = "caller"


@dataclass(frozen=True, slots=True)
class Query:
    """How one asks what became of a task: one way after the other, until one of them knows it."""

    ways: tuple[Way, ...]
    reply: Reply


@dataclass(frozen=True, slots=True)
class Patience:
    """How a task that takes long is asked for, in seconds; in the place of SWAPJOBS_POLL_*."""

    base_s: float
    cap_s: float
    give_up_s: float


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: What `tool` is everywhere: the vendor's tool code, or the path of what has none.
        title: Its name in the vendor's index.
        path: Below the vendor's prefix.
        input: What it takes.
        reply: How the direct reply is read.
        query: How its tasks are asked for; None: there is no known way, and what the vendor accepted is done.
        id_path: Where in the body the caller's id stands.
        echoes_id: Whether the direct reply has the caller's id.
        takes_callback: Whether `callbackUrl` may be sent.
        patience: Of tasks that take hours.
        marks: How well `body`, `reply`, `result` and `callback` are known.
        page: Where the vendor says so.
        note: What else one should know.
        sandbox: What the sandbox does for a tool that it does not know: `echo`, or an operation of its own.
        is_declared: Whether it comes from a tools file.
    """

    name: str
    title: str
    path: str
    input: type[ToolInput]
    reply: Reply
    query: Query | None
    id_path: tuple[str, ...] = ("businessTaskId",)
    echoes_id: bool = True
    takes_callback: bool = False
    patience: Patience | None = None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    page: str = ""
    note: str = ""
    sandbox: str = "echo"
    is_declared: bool = False

    @property
    def is_swap(self) -> bool:
        """Whether it takes two pictures, so that a `SwapRequest` can ask for it."""
        return issubclass(self.input, SwapInput)

    @property
    def is_task(self) -> bool:
        """Whether a call of it makes a task; else it is answered at once, and is no job."""
        return self.reply.family is not Family.LIST

    @property
    def asks_by_own_id(self) -> bool:
        """Whether its tasks may have to be asked for by the vendor's own id."""
        return self.query is not None and any(way.by == "vendor" for way in self.query.ways)

    @property
    def answers_at_once(self) -> bool:
        """Whether the vendor's pages show a result, of which a caller may take that the direct reply has it."""
        return self.reply.family in {Family.PICTURE, Family.TEXT, Family.LIST}

    @property
    def description(self) -> str:
        """What it does, in a sentence."""
        return (self.input.__doc__ or "").strip().partition("\n")[0]

    def with_id(self, body: dict[str, Any], caller_id: str) -> dict[str, Any]:
        """Return a body with the caller's id in its place."""
        name, *rest = self.id_path
        if not rest:
            return {**body, name: caller_id}
        return {**body, name: {**body.get(name, {}), rest[0]: caller_id}}

    def id_in(self, body: Mapping[str, Any]) -> Any:
        """Return what stands in a body where the caller's id belongs."""
        value: Any = body
        for name in self.id_path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def image_tool(name: str, title: str, input: type[ToolInput], reply: Reply, **more: Any) -> Tool:  # noqa: A002
    """Return the row of a tool below `tool/`, whose tasks are asked for by its own `queryTask`.

    Its tool code is all that follows `tool/`, slashes kept (the vendor's page of queryImageToolTaskInfo).
    """
    path = f"{_OF_TOOLS}{name}"
    result = more.pop("result", reply)
    return Tool(name, title, path, input, reply, Query((Way(path + QUERY),), result), **more)
