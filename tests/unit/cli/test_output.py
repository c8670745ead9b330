"""What people copy stays whole, and nothing that was stored can drive their terminal."""

from __future__ import annotations

import pytest

from swapjobs.cli.main import exit_status
from swapjobs.cli.output import out as console
from swapjobs.cli.output import plain, print_fields, print_json
from swapjobs.contract.errors import JobGone, JobNotFound, QueueFull, QueueUnavailable, SettingsError, WaitTimeout

LONG = "http://pictures.example/" + "x" * 300


@pytest.mark.parametrize("columns", ["1", "20", "80"])
def test_a_value_is_neither_cut_nor_wrapped_on_a_narrow_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_fields(console, ("source_url", 12, "dim"), (LONG, 0, ""), ("[red]y[/] :smile:", 0, ""))
    assert capsys.readouterr().out == f"source_url    {LONG}  [red]y[/] :smile:\n"


def test_json_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "\u2028\x1b[31m\xe9 " + LONG})
    output = capsys.readouterr().out
    assert output.isascii()
    assert output.count("\n") == 1
    assert "\x1b" not in output


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert plain("a\x1b[2J\x9b1m\r\nb \u202e\xe9\u9762") == "a\\x1b[2J\\x9b1m\\r\\nb \\u202e\xe9\u9762"


@pytest.mark.parametrize(
    ("error", "status"),
    [(JobNotFound, 3), (JobGone, 3), (QueueUnavailable, 4), (QueueFull, 4), (WaitTimeout, 5), (SettingsError, 2)],
)
def test_every_exception_has_its_exit_status(error: type, status: int) -> None:
    assert exit_status(error()) == status
