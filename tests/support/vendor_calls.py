"""Calls of the vendor as the worker's client makes them, by the tool's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swapjobs.contract.output import ImageOutput
from swapjobs.contract.vendor_tools.table import TOOLS
from swapworker.vendor_client.outcome import Outcome, Succeeded
from swapworker.vendor_client.request import VendorCall

if TYPE_CHECKING:
    from swapworker.vendor_client.client import VendorClient


def vendor_swap(client: VendorClient, tool: str, body: dict[str, Any]) -> Outcome:
    """Call a tool with a body that holds the caller's id already."""
    return client.make(VendorCall(TOOLS[tool], body))


def vendor_query(client: VendorClient, tool: str, caller_id: str, way: int = 0) -> Outcome:
    """Ask for a task."""
    asked = TOOLS[tool].query
    assert asked is not None
    return client.make(VendorCall(TOOLS[tool], {"businessTaskId": caller_id}, asked.ways[way]))


def picture(url: str, task_id: str | None = None) -> Succeeded:
    """Return the outcome of a finished swap."""
    return Succeeded((ImageOutput(url=url),), task_id)
