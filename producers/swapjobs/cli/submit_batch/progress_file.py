"""The progress file of submit-batch: how far a file was submitted, so that a killed run is gone on with.

Lines without a business_task_id get `run-line` for one, and the run's name is on disk before the first job is
submitted. So whatever was accepted behind the place that the file names is recognised when it is submitted again,
at whatever moment the run was killed: nothing is lost, nothing is doubled, and the place only saves time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import stat
import sys
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import ConfigDict, Field, NonNegativeInt, ValidationError

from swapjobs.contract.errors import InvalidRequest
from swapjobs.contract.frozen import Model
from swapjobs.ingest.line_reader import Position
from swapjobs.ingest.submitter import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedReader
    from pathlib import Path

SUFFIX: Final = ".progress"
_SIZE: Final = 1024  # always the same, and written by one call: never half new and half old after a kill
_TWICE: Final = "lines without a business_task_id that were accepted would be submitted a second time"


class State(Model):
    """What the file holds. Of the input and the options only digests: a callback_url may have a secret in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    submit_batch: Literal[1] = 1
    run: str = Field(pattern=r"^[0-9a-f]{20}$")
    file: str
    options: str
    offset: NonNegativeInt = 0
    line: NonNegativeInt = 0
    last_id: str | None = None  # the last job that was accepted: Redis must know it, or has lost jobs
    counts: dict[Outcome, NonNegativeInt] = Field(default_factory=dict)

    @property
    def place(self) -> Position:
        """Everything before it was submitted, and what became of it was told."""
        return Position(self.offset, self.line)


def new_run() -> str:
    """Return a name that no other run has."""
    return secrets.token_hex(10)


class ProgressFile:
    """The progress file of one run; a context manager. It is locked, so that no two runs submit one file at once.

    Raises:
        InvalidRequest: another run has it; it is none of ours; the input or the options are others than before.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, source: BufferedReader, options: Mapping[str, str]) -> None:
        self.path = path
        self._stream = _open_locked(path)
        try:
            _refuse_input(self._stream, source, path)
            self.state = self._begin_or_go_on(_digest_of(source), _digest(json.dumps(options, sort_keys=True).encode()))
        except BaseException:
            self._stream.close()
            raise

    def _begin_or_go_on(self, file: str, options: str) -> State:
        text = self._stream.read(_SIZE + 1)
        self.is_new = not text
        if self.is_new:  # or killed before anything was submitted
            state = State(run=new_run(), file=file, options=options)
            self._write(state)
            _to_disk(self._stream, self.path)
            return state
        try:
            state = State.model_validate_json(text if len(text) == _SIZE else b"")
        except ValidationError:
            raise InvalidRequest(
                f"{self.path}: is not a progress file of this version of submit-batch; if it is a file of yours, name"
                f" another one with --progress-file; if it is damaged, remove it to begin anew: {_TWICE}"
            ) from None
        begun = f"{self.path} tells of a run that was stopped after line {state.line}"
        if state.file != file:
            raise InvalidRequest(
                f"{begun}, and the input was changed since: put it back as it was, or submit the lines that are left as"
                f" a file of their own; or remove {self.path} to begin anew: {_TWICE}"
            )
        if state.options != options:
            raise InvalidRequest(
                f"{begun}, with other options: give the same --tenant, --priority, --callback-url, --batch-id,"
                f" --map and so on; or remove {self.path} to begin anew: {_TWICE}"
            )
        return state

    def save(self, place: Position, last_id: str | None, counts: Mapping[Outcome, int]) -> None:
        """Write down how far it is."""
        progress = {"offset": place.offset, "line": place.line, "last_id": last_id, "counts": dict(counts)}
        self._write(self.state.model_copy(update=progress))

    def _write(self, state: State) -> None:
        self._stream.seek(0)
        self._stream.write(state.model_dump_json().encode().ljust(_SIZE - 1) + b"\n")

    def remove(self) -> None:
        """Remove it: all lines are done."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _digest_of(source: BufferedReader) -> str:
    digest = hashlib.file_digest(source, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    source.seek(0)
    return digest


def _open_locked(path: Path) -> io.FileIO:
    while True:
        # not "a+", which writes at the end wherever it was told to
        stream = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        try:
            _lock(stream, path)
            if os.fstat(stream.fileno()).st_nlink:
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()  # removed just now, by the run that had it


def _refuse_input(stream: io.FileIO, source: BufferedReader, path: Path) -> None:
    if os.path.sameopenfile(stream.fileno(), source.fileno()):
        raise InvalidRequest(f"{path}: is the input itself; name another file with --progress-file")


def _lock(stream: io.FileIO, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        raise InvalidRequest(f"{path}: is no file that progress can be kept in")
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - there is none on Windows

    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            raise InvalidRequest(f"{path}: another run is submitting this file now; wait for its end") from None
        # a file system without locks: then nobody watches


def _to_disk(stream: io.FileIO, path: Path) -> None:
    """Keep the run's name even if the machine loses power."""
    os.fsync(stream.fileno())
    with contextlib.suppress(OSError):  # not every system can do it with a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
