"""The Redis of rehearsals: what its command line says, also where it can't start."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.processes import Program
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = (sys.executable, "-m", "swapsandbox.processes.redis_server")


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_it_runs_until_it_is_stopped_and_help_tells_of_each_option(tmp_path: Path) -> None:
    status, output = run(tmp_path, "--help")
    assert status == 0
    assert "--port PORT" in output
    assert "on 127.0.0.1; 6379 where it is left out" in " ".join(output.split())
    assert "./swapjobs-redis where it is left out" in " ".join(output.split())
    port = str(free_port())
    with Program(COMMAND[-1], "--port", port, cwd=tmp_path, env={}) as server:
        server.wait_for(f"redis ready on redis://127.0.0.1:{port}/0")
        assert server.end(signal.SIGTERM) == 0
    assert (tmp_path / "swapjobs-redis" / "redis.log").is_file()


def test_a_taken_port_is_told_in_one_line_with_the_way_out(tmp_path: Path) -> None:
    line = (
        "error: can't listen on 127.0.0.1 port {port}: Address already in use; a Redis that was started before may have"
        " it (`lsof -i :{port}` tells); choose another --port\n"
    )
    with EmbeddedRedis(tmp_path / "first") as first:
        assert run(tmp_path, "--port", str(first.port)) == (1, line.format(port=first.port))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(tmp_path, "--port", str(port)) == (1, line.format(port=port))
    assert not (tmp_path / "swapjobs-redis").exists(), "told before a server was started"


def test_another_cause_is_told_as_the_server_says_it(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").touch()
    with pytest.raises(RuntimeError, match=r"did not start on port [0-9]+: .*appendonlydir.*; see .*redis\.log"):
        EmbeddedRedis(tmp_path).start()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_no_port_and_what_is_no_folder_is_told(port: str, tmp_path: Path) -> None:
    status, output = run(tmp_path, f"--port={port}")
    assert (status, output.splitlines()[-1].partition("error: ")[2]) == (
        2,
        "argument --port: must be from 1 to 65535, like 6380",
    )
    (tmp_path / "file").touch()
    status, output = run(tmp_path, "--folder", "file")
    assert (status, output.count("\n"), output.startswith("error: ")) == (1, 1, True)
