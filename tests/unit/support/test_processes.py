"""What a program of a test has said can be read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from support.processes import Program

if TYPE_CHECKING:
    from pathlib import Path

# Less than a pipe takes, and in lines so short that reading takes long.
TALK = r"import os; os.write(1, b'.\n' * 30_000 + b'the last line\n'); os._exit(1)"


class ReadLate(Program):
    """Its output lies in the pipe until it has ended."""

    ended: threading.Event

    def _read(self) -> None:
        self.ended.wait(20)
        super()._read()


def test_all_that_a_program_has_said_is_there_when_it_has_ended(tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text(TALK, encoding="utf-8")
    ReadLate.ended = threading.Event()
    with ReadLate("talks", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as talks:
        assert talks.process.wait(20) == 1
        ReadLate.ended.set()
        talks.wait_for("the last line")
