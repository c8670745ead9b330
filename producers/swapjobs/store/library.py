"""Puts the Lua files together into one text: one file per atomic operation, and parts that they share.

It begins with key prefixes from `keys.py`, the table of moves from `lifecycle.py`, the hint templates from `hints.py`
and the names of the traffic state from `traffic.py`. So no key, state or message is spelled in Lua.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.lifecycle import MOVES, Event, JobState
from swapjobs.store import celery_message, keys
from swapjobs.store.fleet_state import FIELDS, LEARNED, OUTAGES, PHASES
from swapjobs.store.record import RETRY_LINE, URL_EXPIRED_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_PAUSE_MS: Final = 3_600_000

_KEYS: Final = {
    "job": keys.job(""),
    "history": keys.history(""),
    "tombstone": keys.tombstone(""),
    "line": f"{keys.PREFIX}line:",
    "turns": keys.turns(""),
    "aside": keys.aside(""),
    "hints": keys.hints(""),
    "wake": keys.wake(),
    "traffic": keys.traffic(),
    "counts": keys.counts(),
    "server": keys.server(),
    "tenant": keys.tenant(""),
    "tenants": keys.tenants(),
    "failures": keys.failures(),
    "refused": keys.refused(),
    "parked": keys.parked(),
    "probes": keys.probes(),
    "dispatcher": keys.dispatcher(),
    "changed": keys.changed(""),
    "index": keys.index(""),
    "pruning": keys.pruning(),
    "batch": f"{keys.PREFIX}batch:",
    "batches": keys.batches(""),
    "stopped": keys.stopped(),
    "set_aside": f"{keys.PREFIX}set-aside:",
    "delivery": keys.delivery(""),
    "deliveries": keys.deliveries(""),
    "telling": keys.telling(""),
    "endpoint": keys.endpoint(""),
    "endpoints": keys.endpoints(""),
    "all_endpoints": keys.all_endpoints(),
    "undelivered": keys.undelivered(""),
    "host": keys.host(""),
}


# Every part once, each after those that it needs.
_PARTS: Final = (
    "traffic", "tenant", "host", "stopped", "turn", "line", "rate", "runway", "refill", "history", "deliver",
    "announce", "endpoint", "batch", "tally", "place", "tell", "finish", "url_time", "index", "steps",
    "epoch", "share", "trial", "suspicion", "door", "learn", "window", "probe", "breaker", "hear", "jump", "memory",
    "lost",
)  # fmt: skip
_SCRIPTS: Final = (
    "submit", "claim", "confirm", "apply", "renew", "cancel", "wake", "claim_delivery", "settle_delivery", "retry",
    "put_back", "hold_line", "release_line", "meet", "set_limits", "set_tenant", "look", "forget_rate", "renew_urls",
    "open_batch", "steer_batch", "step_batch", "set_endpoint", "test_endpoint", "replay_delivery",
)  # fmt: skip

_LOCAL: Final = re.compile(r"^local (?:function )?(\w+(?:, \w+)*)")


def text_of(result_ttl_ms: int, clock: str = "") -> str:
    """Return all of it, for this setting; `clock`, the text of a part, tells the time instead of `clock.lua`."""
    parts = [clock or _read("clock"), *(_read(part) for part in _PARTS)]
    functions = [_function(name) for name in _SCRIPTS]
    return "\n".join([_preamble(result_ttl_ms), *_scoped(parts, functions), *functions])


def flags_of(script: str) -> str:
    """Return the flags that a script's file names in a line `-- flags: ...`."""
    return _flags(_read(script))


def _scoped(parts: Sequence[str], functions: Sequence[str]) -> Iterator[str]:
    """Yield the parts as blocks, out of which is seen only what others name: Lua allows 200 locals in all."""
    words = [set(re.findall(r"\w+", text)) for text in (*parts, *functions)]
    for number, part in enumerate(parts):
        elsewhere = set().union(*words[:number], *words[number + 1 :])
        lines, shared = [], ["_"]
        for line in part.split("\n"):
            found = _LOCAL.match(line)
            if found and elsewhere.intersection(found[1].split(", ")):
                shared.append(found[1])
                lines.append(line.removeprefix("local "))
            else:
                lines.append(line)
        yield "\n".join([f"local {', '.join(shared)}", "do", *lines, "end"])


def _flags(body: str) -> str:
    found = re.search(r"^-- flags: (.+)$", body, re.MULTILINE)
    return found[1] if found else ""


def _function(name: str) -> str:
    body = _read(name)
    flags = _flags(body)
    return f"script('{name}', {{{_quote(flags) if flags else ''}}}, function(ARGV)\n{body}end)"


def _read(name: str) -> str:
    return resources.files("swapjobs.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


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
            f"local HINT = {_table({lane: celery_message.template(lane) for lane in keys.LANES})}",
            f"local FIELDS = {{{', '.join(map(_quote, FIELDS))}}}",
            _traffic_numbers(),
            f"local OUTAGES = {{{', '.join(map(_quote, OUTAGES[1:]))}}}",
            f"local OUTAGE = {{{', '.join(f'{name} = {code}' for code, name in enumerate(OUTAGES) if name)}}}",
            f"local PHASE = {{{', '.join(f'{name} = {code}' for code, name in enumerate(PHASES))}}}",
            f"local LEARNED = {{{', '.join(f'{name} = {code}' for code, name in enumerate(LEARNED) if name)}}}",
            f"local SWAPS = {{'{keys.INTERACTIVE}', '{keys.BULK}'}}",
            f"local UNFINISHED = {{{', '.join(map(_quote, sorted(MOVES[Event.CANCEL][0])))}}}",
            f"local RETRY_LINE = {_quote(RETRY_LINE)}",
            f"local URL_EXPIRED, URL_EXPIRED_LINE = '{ErrorCode.IMAGE_UNREACHABLE}', {_quote(URL_EXPIRED_LINE)}",
            f"local RESULT_TTL_MS, MAX_PAUSE_MS = {result_ttl_ms}, {MAX_PAUSE_MS}",
        ]
    )


def _traffic_numbers() -> str:
    # Spelled out, since loops over names would cost more than all else that most scripts do.
    names = ", ".join(f"T.{name}" for name in FIELDS)
    packed = struct.pack(f"<{len(FIELDS)}d", *FIELDS.values())
    return f"""
local T = {{}}
local DEFAULTS = {_quote(packed.decode("latin-1"))}
local function read_numbers(text) {names} = struct.unpack('<{"d" * len(FIELDS)}', text) end
local function packed_numbers() return struct.pack('<{"d" * len(FIELDS)}', {names}) end
"""


def _table(values: Mapping[str, str | bool]) -> str:
    items = (f"{name} = {'true' if value is True else _quote(str(value))}" for name, value in values.items())
    return "{" + ", ".join(items) + "}"


def _quote(text: str) -> str:
    return (
        "'" + "".join(char if " " <= char <= "~" and char not in "'\\" else f"\\{ord(char):03d}" for char in text) + "'"
    )
