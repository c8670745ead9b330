"""Many questions to Redis in one round trip, all answered at one moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Command = tuple[str | int, ...]

_SCRIPT: Final = """
local answers = {}
for number, command in ipairs(cjson.decode(ARGV[1])) do
  answers[number] = redis.call(unpack(command))
end
return answers
"""


def ask(client: Any, commands: Iterable[Command]) -> dict[Command, Any]:
    """Return the answer to each command, as Redis gives it to scripts."""
    asked = list(commands)
    return dict(zip(asked, client.eval(_SCRIPT, 0, json.dumps(asked)), strict=True))


def all_of(key: str) -> Command:
    """Return the command that reads a sorted set."""
    return "ZRANGE", key, 0, -1
