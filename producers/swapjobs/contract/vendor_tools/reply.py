"""How a tool's reply is to be read: the families of `data`, and what their numbers mean.

A `status` means nothing without its family: 2 is failure beside a swapped face and success in the query of the sd
tools, 0 stands beside a finished text. So a row says for its own replies which numbers are which, and an answer without
a result and without a failed number is "accepted, not finished".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Family(StrEnum):
    """The shapes of `data` (the vendor's pages, side by side)."""

    PICTURE = "R"  # `outputImageUrl`
    TEXT = "T"  # `caption`, or a list: `prompts`
    ACKNOWLEDGED = "A"  # an id and no more; a result comes later, in a shape that no page tells: it is taken as it is
    SD_QUERY = "Q"  # `differentialImageRspList`, each with a picture, a seed and an audit
    LIST = "L"  # `rows`, with `total`, `pageSize`, `pageNum`: an answer at once, no task


@dataclass(frozen=True, slots=True)
class Reply:
    """One kind of reply.

    Attributes:
        family: The shape of its `data`.
        result: The field that holds the result; empty: all that `data` holds beside ids and numbers.
        finished: The numbers of `status` that a result is a result with, the one that the vendor's page shows first.
        failed: The numbers that say that there will be none; never success, whatever stands beside them.
        waiting: Where it is not empty, every other number is a failure as well.
        is_list: Whether the vendor's page shows the result as a list.
    """

    family: Family
    result: str = ""
    finished: tuple[int, ...] = (1,)
    failed: frozenset[int] = frozenset({2})
    waiting: frozenset[int] = frozenset()
    is_list: bool = False

    def says_finished(self, status: int | None) -> bool:
        """Whether beside this number a result is one."""
        return status in self.finished and status not in self.failed

    def says_failed(self, status: int | None) -> bool:
        """Whether this number says that there will be no result."""
        if status is None:
            return False
        is_other = status not in self.waiting and status not in self.finished
        return status in self.failed or bool(self.waiting and is_other)


PICTURE: Final = Reply(Family.PICTURE, "outputImageUrl")
ACKNOWLEDGED: Final = Reply(Family.ACKNOWLEDGED)
# Whatever it says, it is not the end: another reply tells that, with other numbers.
ACCEPTED: Final = Reply(Family.ACKNOWLEDGED, finished=(), failed=frozenset())
# The same of a tool whose tasks can't be asked for: that 2 is a failure is a caution.
TAKEN_OR_NOT: Final = Reply(Family.ACKNOWLEDGED, finished=(), failed=frozenset({2}))
SD_QUERY: Final = Reply(
    Family.SD_QUERY,
    "differentialImageRspList",
    finished=(2,),
    failed=frozenset(),
    waiting=frozenset({0, 1, 3}),  # 1 and 3 by a public client; that 0 waits is a caution
)
LIST: Final = Reply(Family.LIST, "rows", finished=(), failed=frozenset())
