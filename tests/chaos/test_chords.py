"""A short run of the chords under fire; `python -m chaos.chords` does ten thousand jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos import chords

if TYPE_CHECKING:
    from pathlib import Path


def test_every_body_of_a_chord_runs_once_while_workers_are_killed(tmp_path: Path) -> None:
    outcome = chords.run(tmp_path, chords=10, parts=40, kills=5, seed=7)
    assert outcome.bodies == {str(number): 1 for number in range(10)}
    assert (outcome.short, outcome.billed, outcome.duplicates, outcome.kills) == (0, 400, 0, 5)
