"""A process of the harness: its output goes to a file, it may be frozen, and it is ended by its own pid only."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from support.fork_server import programs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.fork_server import ForkedProgram

_SHOWN_BYTES: Final = 6000


class Child:
    """`python -m ...` under a name; it can be started any number of times, its log goes on.

    Attributes:
        name: How the report calls it.
        log: Where both of its streams go.
        frozen: Whether it was stopped by SIGSTOP and not continued yet.
        signalled_at: When it was last told to end (monotonic), None while nobody told it: then an end is its own doing.
        signalled: The signal by which it was told.
    """

    def __init__(self, name: str, command: list[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.frozen = False
        self.signalled_at: float | None = None
        self.signalled: int | None = None
        self._log_from = 0
        self._command = command
        self._folder = folder
        self._environment = environment
        self._process: ForkedProgram | None = None

    def start(self) -> None:
        """Start it (again)."""
        self.signalled_at = self.signalled = None
        self.frozen = False
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            # in a session of its own: a Ctrl-C is for the driver, which ends its children itself
            self._process = programs().start(
                self._command, cwd=self._folder, env=dict(self._environment), stdout=log, stderr=log
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def status(self) -> int | None:
        """The exit status once it has ended; minus the signal's number when a signal ended it."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it is there and does its work."""
        return self._process is not None and self.status is None and not self.frozen

    def send(self, number: int) -> None:
        """Send a signal; after SIGTERM and SIGKILL its end is expected."""
        assert self._process is not None
        if number in {signal.SIGTERM, signal.SIGKILL}:
            self.signalled_at, self.signalled = time.monotonic(), number
        self.frozen = number == signal.SIGSTOP or (self.frozen and number != signal.SIGCONT)
        self._process.send_signal(number)

    def end(self) -> None:
        """Kill it, frozen or not, and wait until it is gone."""
        if self._process is not None and self.status is None:
            self.send(signal.SIGKILL)
            self._process.wait()

    def has_said(self, text: str) -> bool:
        """Tell whether this run of it has printed `text`."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return text.encode() in log.read()

    def tail(self) -> str:
        """Return the end of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _SHOWN_BYTES))
            return log.read().decode(errors="replace")

    def lines_with(self, text: str) -> list[str]:
        """Return the lines of its log that hold `text`."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            return [line.rstrip() for line in log if text in line]


def clean_environment(settings: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the environment of a child: ours without any SWAPJOBS_ setting, then `settings`; `path` is importable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWAPJOBS_")}  # noqa: TID251 - for a child process
    paths = [str(path), *filter(None, [inherited.get("PYTHONPATH")])]
    return {**inherited, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths), **settings}
