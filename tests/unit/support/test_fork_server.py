"""A program that the tests fork is what `python -m` makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import fork_server

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import atexit, json, os, signal, sys
atexit.register(print, "atexit")
signals = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
of_ours = sorted(name for name in sys.modules if name.startswith(("swapjobs", "swapworker", "swapsandbox")))
about = [sys.argv, sys.orig_argv, os.getcwd(), sys.path, dict(os.environ), __name__, signals, of_ours, sys.stdin.read()]
print(json.dumps(about))
print(os.getsid(0) == os.getpid(), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "shown.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "own" / "waits.py").write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}  # noqa: TID251 - for a child process
    return {**inherited, "PYTHONPATH": str(tmp_path / "own"), "OWN": "1"}


def test_it_is_the_same_as_one_that_the_interpreter_starts(tmp_path: Path, env: dict[str, str]) -> None:
    command = ["shown", "3", "ä"]
    real = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=env,
        input=b"given",
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert fork_server.run(command, cwd=tmp_path, env=env, stdin=b"given") == (3, real.stdout, real.stderr)
    assert (real.returncode, real.stdout.endswith(b"atexit\n"), real.stderr) == (3, True, b"True\n")


OWN = """
class Loud:
    def __init__(self, name):
        self.name, self.itself = name, self if name == "in a circle" else None
    def __del__(self):
        print(self.name, "is destroyed")
of_the_module, circle = Loud("of the module"), Loud("in a circle")
del circle
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("", 0),
        ("sys.exit()", 0),
        ("sys.exit(300)", 300 - 256),
        ("sys.exit('why')", 1),
        ("threading.Thread(target=lambda: (time.sleep(0.1), print('done'))).start()", 0),
        ("threading.Thread(target=time.sleep, args=[60], daemon=True).start()", 0),
    ],
)
def test_it_ends_as_one_that_the_interpreter_starts(tmp_path: Path, env: dict[str, str], end: str, status: int) -> None:
    (tmp_path / "own" / "objects.py").write_text(OWN, encoding="utf-8")
    program = f"import atexit, os, sys, threading, time\nimport objects\natexit.register(print, 'atexit')\n{end}\n"
    (tmp_path / "own" / "ends.py").write_text(program, encoding="utf-8")
    real = subprocess.run(
        [sys.executable, "-m", "ends"], cwd=tmp_path, env=env, input=b"", capture_output=True, check=False
    )
    assert fork_server.run(["ends"], cwd=tmp_path, env=env) == (real.returncode, real.stdout, real.stderr)
    assert real.returncode == status
    assert real.stdout.endswith(b"atexit\nin a circle is destroyed\nof the module is destroyed\n")


def test_output_that_nobody_takes_is_a_fault_as_ever(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "own" / "ends.py").write_text("import os\nprint('lost')\nos.close(1)\n", encoding="utf-8")
    status, _, errors = fork_server.run(["ends"], cwd=tmp_path, env=env)
    assert (status, errors.splitlines()[-1]) == (120, b"OSError: [Errno 9] Bad file descriptor")


def test_a_fault_is_shown_as_ever(tmp_path: Path, env: dict[str, str]) -> None:
    status, _, errors = fork_server.run(["shown", "no number"], cwd=tmp_path, env=env)
    assert (status, errors.splitlines()[-1]) == (1, b"ValueError: invalid literal for int() with base 10: 'no number'")


def test_signals_reach_it_and_its_end_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    with (tmp_path / "output").open("wb") as output:
        program = fork_server.programs().start(["waits"], cwd=tmp_path, env=env, stdout=output, stderr=output)
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.terminate()
    assert program.wait(20) == -signal.SIGTERM == program.poll()
    with pytest.raises(ProcessLookupError):
        os.kill(program.pid, 0)
