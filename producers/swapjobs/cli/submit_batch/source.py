"""The input of submit-batch and batch submit, and the progress file that belongs to it."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from swapjobs.cli.output import print_error
from swapjobs.cli.submit_batch.progress_file import SUFFIX, ProgressFile
from swapjobs.contract.errors import InvalidRequest
from swapjobs.ingest.row_reader import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


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


def progress_of(file: str, stream: BufferedReader, options: dict[str, str], given: Path | None) -> ProgressFile | None:
    """Return the progress file, or None where there can be none."""
    if file == "-" or size_of(stream) is None:
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
