"""A short run of the chords under fire; `python -m chaos.chords` does ten thousand jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos import chords

if TYPE_CHECKING:
    from pathlib import Path


def test_every_body_of_a_chord_runs_once_while_workers_are_killed(tmp_path: Path) -> None:
    outcome = chords.run(tmp_path, chords=5, parts=30, kills=3, seed=7)
    assert outcome.bodies == {str(number): 1 for number in range(5)}
    assert (outcome.short, outcome.billed, outcome.duplicates, outcome.kills) == (0, 150, 0, 3)
