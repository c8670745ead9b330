"""What a terminal shows while submit-batch works: lines, their rate, the queue's length, the time that is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from swapjobs.cli.output import err

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.ingest.line_reader import Position

_COUNT_S: Final = 2.0


class Display:
    """A line on standard error, only where that is a terminal; a context manager.

    `size` is the input's in bytes, if it is known; `depth` counts the queued jobs.
    """

    def __init__(self, size: int | None, start: Position, depth: Callable[[], int], *, shown: bool) -> None:
        self._shown = shown and err.is_terminal
        self._depth = depth
        self._counted = 0.0
        texts = ("{task.fields[lines]} lines", "{task.fields[rate]}/s", "{task.fields[depth]} queued")
        columns = (BarColumn(bar_width=16), *map(TextColumn, texts), TimeRemainingColumn())
        self._progress = Progress(
            TextColumn("{task.description}"), *columns, console=err, transient=True, disable=not self._shown
        )
        self._task = self._progress.add_task(
            "submitting", total=size, completed=start.offset, lines=0, rate="-", depth="-"
        )

    def at(self, place: Position, lines: int) -> None:
        """Show how far it is: `lines` that were dealt with, up to `place`."""
        if not self._shown:
            return
        speed = self._progress.tasks[0].speed  # bytes per second
        rate = f"{speed * lines / place.offset:.0f}" if speed and place.offset else "-"
        self._progress.update(
            self._task, description="submitting", completed=place.offset, lines=lines, rate=rate, depth=self._count()
        )

    def _count(self) -> int | str:
        now = time.monotonic()
        if now - self._counted < _COUNT_S:
            depth: int | str = self._progress.tasks[0].fields["depth"]
            return depth
        self._counted = now
        return self._depth()

    def held(self, depth: int) -> None:
        """Show that it waits for the queue to become shorter."""
        self._progress.update(self._task, description="held back ", depth=depth)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
