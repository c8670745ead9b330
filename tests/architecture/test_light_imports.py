"""What a start loads: a command no more than it needs, `import swapjobs` next to nothing. Counted, since times vary."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import Any

import pytest
import typer

import swapjobs
import swapjobs.cli
from swapjobs.cli.command_table import MODULES, load

# What only some commands need, and what takes longest to load.
HEAVY = {
    *(
        "asyncio",
        "celery",
        "cryptography",
        "fastapi",
        "httpx",
        "importlib.metadata",
        "jinja2",
        "kombu",
        "opentelemetry",
    ),
    *("prometheus_client", "pydantic", "pydantic_settings", "redis", "starlette", "swapworker", "uvicorn"),
}
OF_REDIS = {"asyncio", "cryptography", "opentelemetry"}  # redis-py loads them; the last two where they are there
OF_TYPER = {"pydantic", "importlib.metadata"}  # by which it reads the root's options
OF_A_COMMAND = OF_REDIS | OF_TYPER | {"redis", "pydantic_settings"}
COMMANDS = {name: line for commands in MODULES.values() for name, line in commands.items()}


def loaded_by(code: str, *arguments: str, **environment: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded at its end."""
    report = "import atexit, sys\natexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
    command = [sys.executable, "-c", report + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    return set(done.stderr.rpartition("LOADED ")[2].split())


def of_the_command_line(*arguments: str) -> set[str]:
    nowhere = {"SWAPJOBS_REDIS_URL": "redis://127.0.0.1:1/0"}
    code = "sys.argv = ['swapjobs', *sys.argv[1:]]\nfrom swapjobs.cli import main\nmain()"
    return loaded_by(code, *arguments, **nowhere)


def test_import_swapjobs_loads_nothing_before_a_name_is_used() -> None:
    loaded = loaded_by("import swapjobs\nassert 'SwapClient' in dir(swapjobs)")
    assert {name for name in loaded if name.startswith("swapjobs")} == {"swapjobs"}
    assert loaded & (HEAVY | {"typer", "rich", "dataclasses", "inspect"}) == set()


def test_a_model_is_had_without_a_client_of_redis() -> None:
    loaded = loaded_by("from swapjobs import SwapRequest")
    assert "pydantic" in loaded
    assert loaded & (HEAVY - {"pydantic", "importlib.metadata"}) == set()


def test_a_name_that_is_none_is_refused_as_everywhere() -> None:
    with pytest.raises(AttributeError, match="module 'swapjobs' has no attribute 'SwapCleint'"):
        _ = swapjobs.SwapCleint  # type: ignore[attr-defined]  # that is the point


@pytest.mark.parametrize("arguments", [("--help",), (), ("sumbit",), ("--no-such",)])
def test_what_names_no_command_loads_none(arguments: tuple[str, ...]) -> None:
    loaded = of_the_command_line(*arguments)
    assert loaded & (HEAVY - OF_TYPER) == set()
    assert {
        name for name in loaded if name.startswith(("swapjobs.client", "swapjobs.store", "swapjobs.settings"))
    } == set()


def test_a_command_loads_no_other() -> None:
    loaded = of_the_command_line("submit", "https://a.example/a.jpg", "https://b.example/b.jpg")
    assert "redis" in loaded
    assert loaded & (HEAVY - OF_A_COMMAND) == set()
    assert loaded & {"rich.markdown", "rich.progress", "typer.rich_utils"} == set()
    of_ours = {name for name in loaded if name.startswith("swapjobs.cli.")}
    assert of_ours == {f"swapjobs.cli.{name}" for name in ("command_table", "main", "output", "jobs", "job_view")}
    assert {
        name for name in loaded if name.startswith(("swapjobs.gateway", "swapjobs.ingest", "swapjobs.report"))
    } == set()


def test_the_table_has_every_command_that_is_registered() -> None:
    registered: set[str] = set()
    for entry in pkgutil.walk_packages(swapjobs.cli.__path__, "swapjobs.cli."):
        module: Any = importlib.import_module(entry.name)
        if hasattr(module, "register"):
            app = typer.Typer()
            module.register(app)
            registered |= typer.main.get_group(app).commands.keys()
    assert registered == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_tables_lines_are_those_of_the_commands(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert " ".join(inspect.cleandoc(command.help).partition("\n\n")[0].split("\n")) == COMMANDS[name]
    assert not command.hidden
    assert command.short_help is None
