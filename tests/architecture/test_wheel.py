"""What is shipped: the wheel is complete, and the contract package is light."""

from __future__ import annotations

import subprocess
import sys
from zipfile import ZipFile

import pytest

import swapjobs
from support.paths import ROOT

# The packages of the extras, which a producer has none of, and what is built on them: each is made unimportable.
BLOCKER = """
import sys

HEAVY = "celery kombu httpx standardwebhooks flower cv2 numpy PIL starlette uvicorn prometheus_client".split()
HEAVY += ["swapworker", "swapsandbox"]
sys.modules.update(dict.fromkeys(HEAVY))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The names in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    with ZipFile(file) as archive:
        return frozenset(archive.namelist())


@pytest.mark.parametrize(
    ("folder", "package"),
    [("producers", "swapjobs"), ("worker", "swapworker"), ("ops", "swapsandbox")],
)
def test_the_wheel_holds_every_file_of_the_packages(wheel: frozenset[str], folder: str, package: str) -> None:
    source = ROOT / folder
    files = {
        str(path.relative_to(source))
        for path in (source / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert f"{package}/py.typed" in files
    assert files <= wheel


def test_the_wheel_holds_what_is_read_at_run_time(wheel: frozenset[str]) -> None:
    assert "swapjobs/store/lua/functions/jobs/claim.lua" in wheel
    assert "swapjobs/flowerconfig.py" in wheel
    models = {name for name in wheel if name.startswith("swapsandbox/faces/models/") and name.endswith(".tflite")}
    assert len(models) == 3
    pictures = {name for name in wheel if name.startswith("swapsandbox/pictures/") and name.endswith((".jpg", ".png"))}
    assert len(pictures) >= 5
    assert not any(name.startswith(("tests/", "ops/", "worker/", "producers/")) for name in wheel)


def test_every_public_name_is_sorted_and_there() -> None:
    # as ruff sorts `__all__`: constants, classes, the rest
    assert swapjobs.__all__ == sorted(swapjobs.__all__, key=lambda name: (not name.isupper(), name))
    for name in swapjobs.__all__:
        assert getattr(swapjobs, name) is not None


def test_a_producer_needs_none_of_the_extras() -> None:
    use = "from swapjobs import *\nassert 'typer' not in sys.modules\nprint('fine')"
    done = subprocess.run([sys.executable, "-c", BLOCKER + use], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_a_producer_imports_none_of_the_extras_that_are_there() -> None:
    extras = {"celery", "kombu", "httpx", "cv2", "numpy", "typer"}
    use = f"import sys\nfrom swapjobs import *\nprint(sorted({extras} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", use], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.slow
def test_the_command_line_needs_none_of_the_extras_and_names_the_one_it_lacks() -> None:
    use = "sys.argv = ['swapjobs', *sys.argv[1:]]\nfrom swapjobs.cli import main\nmain()"

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-c", BLOCKER + use, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert run("--help")[0] == 0
    for command, extra in [
        ("worker", "worker"),
        ("metrics", "worker"),
        ("flower", "flower"),
        ("sandbox", "demo"),
        ("demo", "demo"),
    ]:
        status, output = run(command)
        assert (status, output.count("\n")) == (2, 1), output
        assert output.endswith(f"pip install 'swapjobs[{extra}]'\n")
