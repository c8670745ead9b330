"""Tools that a test declares are gone after it: a process declares tools once, and has no need to take them back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from swapjobs.contract.vendor_tools import table

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def only_for_now() -> Iterator[None]:
    before = dict(table.TOOLS)
    yield
    table._tools.clear()  # noqa: SLF001 - see above
    table.declare(before.values())
