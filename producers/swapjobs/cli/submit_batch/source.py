"""The input of submit-batch and batch submit, and the progress file that belongs to it."""

from __future__ import annotations

import json
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from swapjobs.cli.output import print_error
from swapjobs.cli.submit_batch.progress_file import SUFFIX, ProgressFile
from swapjobs.contract.errors import InvalidRequest
from swapjobs.ingest.line_reader import START
from swapjobs.ingest.row_reader import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from swapjobs.ingest.line_reader import Position
    from swapjobs.ingest.row_reader import Reading, Row


class Source(NamedTuple):
    """What is submitted: its name, the open file, and how it is read."""

    name: str
    stream: BufferedReader
    reading: Reading

    def rows(self, start: Position = START) -> Iterator[Row]:
        """Return the rows behind `start`; see `read_rows`."""
        return read_rows(self.stream, self.name, start, self.reading)

    @property
    def options(self) -> dict[str, str]:
        """The options that say how it is read, where they say anything."""
        columns = self.reading.columns
        given = {"map": json.dumps(dict(columns.fields), sort_keys=True) if columns.fields else ""}
        given |= {"ignore_unknown": "yes" if columns.ignore_unknown else "", "encoding": self.reading.encoding or ""}
        return {name: value for name, value in given.items() if value}


@contextmanager
def opened(file: str) -> Iterator[BufferedReader]:
    """Open the input; `-` is standard input."""
    if file == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file}: cannot be read: {getattr(error, 'strerror', error)}") from None
    with stream:
        yield stream


def size_of(stream: BufferedReader) -> int | None:
    """Return the size of a file; None for a pipe or a terminal."""
    facts = os.fstat(stream.fileno())
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


def progress_of(source: Source, options: dict[str, str], given: Path | None) -> ProgressFile | None:
    """Return the progress file, or None where there can be none."""
    file, stream, _ = source
    if file == "-" or size_of(stream) is None:
        if given:
            raise InvalidRequest(f"--progress-file: {file} cannot be read a second time; give a file")
        return None
    source.rows()  # one that cannot be read at all needs none
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
