"""The command submit-batch: a CSV or JSON lines file of any length, line by line."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from swapjobs.cli.batch_display import Display
from swapjobs.cli.batch_run import Patience, Room, Told, depth_of, knows, submit_block
from swapjobs.cli.output import JsonFlag, err, out, print_error, print_fields, print_json
from swapjobs.cli.progress_file import SUFFIX, Outcome, ProgressFile, new_run
from swapjobs.cli.rows import START, Row, read_rows
from swapjobs.client import SwapClient
from swapjobs.errors import InvalidRequest, QueueUnavailable, SwapjobsError
from swapjobs.models import SwapRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

_YEAR_S: Final = 366 * 86_400


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit_batch)


def submit_batch(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="- is standard input", show_default=False)],
    *,
    tenant: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    priority: Annotated[str, typer.Option(help="for lines that name none")] = "bulk",
    callback_url: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    batch_id: Annotated[str | None, typer.Option(help="for lines that name none")] = None,
    max_queued: Annotated[int | None, typer.Option(min=1, help="wait while so many jobs stand in line")] = None,
    give_up_s: Annotated[
        float, typer.Option("--give-up-after", min=0, max=_YEAR_S, help="seconds to wait for Redis when it goes away")
    ] = 600,
    progress_file: Annotated[
        Path | None, typer.Option(help=f"where it is kept how far it is: FILE{SUFFIX}", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Submit many jobs from a CSV file with a header, or from JSON lines.

    Columns and keys are those of `submit`, with underscores: source_url, target_url, business_task_id, ... Bad lines
    are reported with their line number, the good ones are kept; then the exit status is 1. Give every line a
    business_task_id, and the same file can be submitted again without making a job twice.

    A run that was stopped or killed is gone on with by the same command: how far it is stands in FILE.progress, which
    is removed at the end. Standard input cannot be gone on with.
    """
    options = {"tenant": tenant, "priority": priority, "callback_url": callback_url, "batch_id": batch_id}
    given = {name: value for name, value in options.items() if value is not None}
    SwapRequest.parse({"source_url": "https://any.example", "target_url": "https://any.example", **given})
    with ExitStack() as stack:
        stream = stack.enter_context(_open(file))
        progress = _progress(file, stream, given, progress_file)
        if progress:
            stack.enter_context(progress)
        client = stack.enter_context(SwapClient())
        run = _Run(client, given, progress, Patience(give_up_s))
        try:
            run.go(stream, file, max_queued, as_json=as_json)
        except BaseException:
            if progress and progress.is_new and not run.began:
                progress.remove()
            raise
        if not as_json:
            out.print(run.told(), soft_wrap=True)
        out.file.flush()
        if progress:
            progress.remove()  # the last thing: a kill before it only repeats the lines above
    raise typer.Exit(1 if run.counts["invalid"] or run.counts["conflict"] else 0)


class _Run:
    """One run of the command."""

    def __init__(
        self, client: SwapClient, defaults: dict[str, Any], progress: ProgressFile | None, patience: Patience
    ) -> None:
        self._client = client
        self._defaults = defaults
        self._progress = progress
        self._patience = patience
        self._name = progress.state.run if progress else new_run()
        self._last_id: str | None = None
        self._place = START
        self._outages = 0
        self.began = False
        self.counts: Counter[Outcome] = Counter()

    def told(self) -> str:
        """Return the counts in words."""
        each = ", ".join(f"{self.counts[name]} {name}" for name in ("created", "existing", "conflict", "invalid"))
        return f"{self.counts.total()} jobs: {each}"

    def go(self, stream: BufferedReader, name: str, max_queued: int | None, *, as_json: bool) -> None:
        """Submit what is left, and tell what became of each row."""
        self._go_on()
        rows = read_rows(stream, name, self._place)
        self._depth()  # a Redis that cannot be reached is told before anything was submitted
        try:
            with Display(_size(stream), self._place, self._depth, shown=not as_json) as display:
                room = Room(max_queued, self._depth, display.held)
                while block := list(islice(rows, room())):
                    told = self._submit(block)
                    room.take(sum(each.outcome == "created" for each in told))
                    for each in told:
                        _print(each, as_json=as_json)
                    self._count(block, told)
                    display.at(self._place, self.counts.total())
        except (KeyboardInterrupt, SwapjobsError):
            if self._place != START:
                again = "; the same command goes on there" if self._progress else ""
                text = f"stopped after about line {self._place.line}: {self.told()}; what was accepted is kept{again}"
                err.print(text, markup=False, soft_wrap=True)
            raise

    def _go_on(self) -> None:
        """Begin where a run before this one was stopped, if Redis still has what that one submitted."""
        state = self._progress.state if self._progress else None
        if state is None or state.place == START:
            return
        line = f"line {state.line}"
        last_id = state.last_id
        if last_id and not self._patience(lambda: knows(self._client, last_id)):
            text = f"Redis does not know job {last_id}, the last one up to {line}: all lines are submitted again"
            print_error("", f"{text}; no job that it has is made twice", what="warning", style="yellow")
            return
        err.print(
            f"goes on after {line}, where {self._progress and self._progress.path} says", markup=False, soft_wrap=True
        )
        self._place, self._last_id, self.counts = state.place, last_id, Counter(state.counts)

    def _submit(self, block: Sequence[Row]) -> list[Told]:
        self.began = True
        told = self._patience(lambda: submit_block(self._client, block, self._defaults, self._name))
        last_id = self._last_id
        outages, self._outages = self._outages, self._patience.outages
        if self._outages > outages and last_id and not self._patience(lambda: knows(self._client, last_id)):
            raise QueueUnavailable(
                f"Redis came back without job {last_id}, which it had accepted before: submit all lines again; none"
                " with a business_task_id is made twice" + (", and no other of this file" if self._progress else "")
            )
        return told

    def _count(self, block: Sequence[Row], told: Sequence[Told]) -> None:
        """Keep what was told, and only then write down that it was."""
        self.counts.update(each.outcome for each in told)
        accepted = [each.id for each in told if each.outcome in {"created", "existing"}]
        self._last_id = accepted[-1] if accepted else self._last_id
        self._place = block[-1].after
        if self._progress:
            out.file.flush()
            self._progress.save(self._place, self._last_id, self.counts)

    def _depth(self) -> int:
        return self._patience(lambda: depth_of(self._client))


def _print(told: Told, *, as_json: bool) -> None:
    if as_json:
        print_json(told._asdict())
    if told.error:
        print_fields(err, (f"line {told.line}: {told.error}", 0, ""))


@contextmanager
def _open(file: str) -> Iterator[BufferedReader]:
    if file == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file}: cannot be read: {getattr(error, 'strerror', error)}") from None
    with stream:
        yield stream


def _size(stream: BufferedReader) -> int | None:
    """Return the size of a file; None for a pipe or a terminal."""
    facts = os.fstat(stream.fileno())
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


def _progress(file: str, stream: BufferedReader, options: dict[str, str], given: Path | None) -> ProgressFile | None:
    """Return the progress file, or None where there can be none."""
    if file == "-" or _size(stream) is None:
        if given:
            raise InvalidRequest(f"--progress-file: {file} cannot be read a second time; give a file")
        return None
    read_rows(stream, file)  # one that cannot be read at all needs none
    stream.seek(0)
    path = given or Path(file + SUFFIX)
    try:
        return ProgressFile(path, stream, options)
    except OSError as error:
        if given:
            raise InvalidRequest(f"--progress-file {path}: cannot be written: {error.strerror}") from None
        text = f"{path} cannot be written ({error.strerror}): if this run is killed, lines without a business_task_id"
        print_error(
            "", f"{text} can be made twice; --progress-file names another place", what="warning", style="yellow"
        )
        return None
