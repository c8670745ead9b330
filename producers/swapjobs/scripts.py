"""Loads the Lua scripts: one file per atomic operation, shared parts included by name.

Every script gets the same preamble: key prefixes from `keys.py`, the table of moves from `lifecycle.py`, the hint
templates from `hints.py`. So no key, state or message is spelled in Lua.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from swapjobs import hints, keys
from swapjobs.lifecycle import MOVES, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis
    from redis.client import Pipeline

MAX_PAUSE_MS: Final = 3_600_000

_KEYS: Final = {
    "job": keys.job(""),
    "history": keys.history(""),
    "tombstone": keys.tombstone(""),
    "line": f"{keys.PREFIX}line:",
    "turns": keys.turns(""),
    "hints": keys.hints(""),
    "wake": keys.wake(),
    "traffic": keys.traffic(),
    "failures": keys.failures(),
    "refused": keys.refused(),
    "parked": keys.parked(),
    "probes": keys.probes(),
    "dispatcher": keys.dispatcher(),
    "finished": keys.finished(""),
}


class Scripts:
    """The scripts of one Redis client; `run` sends a script by its hash and loads it when Redis does not have it."""

    def __init__(self, client: redis.Redis, *, result_ttl_s: int, clock: str = "clock") -> None:
        self._client = client
        self._result_ttl_ms = result_ttl_s * 1000
        self._clock = clock
        self._loaded: dict[str, Any] = {}

    def run(self, name: str, *args: str | float, within: Pipeline | None = None) -> Any:
        """Run `lua/<name>.lua` atomically and return its answer; `within` a pipeline it is run with the others."""
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._client.register_script(source(name, self._result_ttl_ms, self._clock))
        return script(args=args, client=within)


@cache
def source(name: str, result_ttl_ms: int, clock: str = "clock") -> str:
    """Return the whole text of a script: shebang, preamble, included parts, body.

    `clock` names the part that tells the time; one with a line break is such a part itself.
    """
    body = _read(name)
    include = re.search(r"^-- include: (.+)$", body, re.MULTILINE)
    flags = re.search(r"^-- flags: (.+)$", body, re.MULTILINE)
    names = include[1].split(", ") if include else []
    parts = [_read(clock if part == "clock" else part) for part in names]
    # With a shebang a script that may need memory is refused before its first write when Redis is full, never halfway.
    shebang = "#!lua" + (f" flags={flags[1]}" if flags else "")
    return "\n".join([shebang, _preamble(result_ttl_ms), *parts, body])


def _read(name: str) -> str:
    if "\n" in name:
        return name
    return resources.files("swapjobs").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


@cache
def _preamble(result_ttl_ms: int) -> str:
    moves = ", ".join(
        f"{event} = {_table(dict.fromkeys(sorted(sources), True))}" for event, (sources, _) in MOVES.items()
    )
    return "\n".join(
        [
            f"local K = {_table(_KEYS)}",
            f"local STATE = {_table({state: state for state in JobState})}",
            f"local MOVES = {{{moves}}}",
            f"local TARGET = {_table({event: target for event, (_, target) in MOVES.items()})}",
            f"local RUNWAY = {_table(keys.RUNWAYS)}",
            f"local HINT = {_table({lane: hints.template(lane) for lane in keys.LANES})}",
            f"local RESULT_TTL_MS, MAX_PAUSE_MS = {result_ttl_ms}, {MAX_PAUSE_MS}",
        ]
    )


def _table(values: Mapping[str, str | bool]) -> str:
    items = (f"{name} = {'true' if value is True else _quote(str(value))}" for name, value in values.items())
    return "{" + ", ".join(items) + "}"


def _quote(text: str) -> str:
    return (
        "'" + "".join(char if " " <= char <= "~" and char not in "'\\" else f"\\{ord(char):03d}" for char in text) + "'"
    )
