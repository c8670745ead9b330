"""Loads the Lua scripts: one file per atomic operation, and parts that they share, together one Redis library.

It begins with key prefixes from `keys.py`, the table of moves from `lifecycle.py`, the hint templates from `hints.py`
and the names of the traffic state from `traffic.py`. So no key, state or message is spelled in Lua.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import redis

from swapjobs import hints, keys
from swapjobs.lifecycle import MOVES, Event, JobState
from swapjobs.record import RETRY_LINE
from swapjobs.traffic import FIELDS, OUTAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis.client import Pipeline

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
    "traffic", "tenant", "host", "stopped", "line", "rate", "runway", "refill", "history", "deliver", "endpoint",
    "batch", "tally", "place", "announce", "finish", "index", "steps", "epoch", "learn", "window", "probe", "breaker",
    "hear", "jump", "memory", "lost",
)  # fmt: skip
_SCRIPTS: Final = (
    "submit", "claim", "confirm", "apply", "renew", "cancel", "wake", "claim_delivery", "settle_delivery", "retry",
    "put_back", "hold_line", "release_line", "meet", "set_limits", "set_tenant", "look",
    "open_batch", "steer_batch", "step_batch", "set_endpoint", "test_endpoint", "replay_delivery",
)  # fmt: skip


_Command = tuple[str | int, ...]


class Scripts:
    """The scripts of one Redis client, as a library of functions that is loaded when Redis does not have it."""

    def __init__(self, client: redis.Redis, library: Library) -> None:
        self._client = client
        self._library = library
        self._is_loaded = False

    def run(self, name: str, *args: str | float) -> Any:
        """Run `lua/<name>.lua` atomically and return its answer."""
        try:
            return self.with_library(lambda: self._client.fcall(self._library.function(name), 0, *args))
        except _NoRoom:
            return self._client.eval(self._library.script(name), 0, *args)

    def queue(self, pipe: Pipeline, name: str, args: Sequence[str | float]) -> None:
        """Put the call into a pipeline, which is to be executed within `with_library`."""
        if not self._is_loaded:
            self._load()
        pipe.fcall(self._library.function(name), 0, *args)

    def with_library(self, call: Callable[[], Any]) -> Any:
        """Make a call that runs scripts; again, when Redis did not know them and so did nothing."""
        try:
            return call()
        except redis.ResponseError as error:
            if not _is_missing(error):
                raise
            self._load()
            return call()

    def _load(self) -> None:
        try:
            self._client.function_load(self._library.text)
        except redis.exceptions.OutOfMemoryError as error:
            raise _NoRoom(*error.args) from None
        except redis.ResponseError as error:
            if not _is_loaded(error):
                raise
        self._is_loaded = True


@dataclass(frozen=True)
class Library:
    """The scripts as Redis functions, under names that hold the text's hash: versions run beside each other.

    Redis keeps a library with its data. Unlike scripts that are sent as such, functions are set up once and not at
    every call, which was a third of what it cost.
    """

    name: str
    body: str

    @property
    def text(self) -> str:
        """The library as Redis loads it."""
        load = "for i = 1, #scripts do redis.register_function(scripts[i]) end"
        return f"#!lua name={self.name}\n{self.body}\n{load}"

    def function(self, script: str) -> str:
        """Return the name by which Redis knows a script."""
        return f"{self.name}_{script}"

    def script(self, name: str) -> str:
        """Return one of the scripts to be sent as such: a Redis that is full takes no library, but goes on working."""
        flags = _flags(_read(name))
        shebang = "#!lua" + (f" flags={flags}" if flags else "")
        return f"{shebang}\n{self.body}\nreturn scripts['{name}'].callback(KEYS, ARGV)"

    def greet(self, connection: Any, script: str) -> None:
        """Run a script without arguments on a connection that is just being made."""
        call = ("FCALL", self.function(script), 0)
        for command in self._ways(call, script):
            connection.send_command(*command)
            try:
                connection.read_response()
            except redis.exceptions.OutOfMemoryError:
                continue
            except redis.ResponseError as error:
                if not (_is_missing(error) or _is_loaded(error)):
                    raise
            else:
                if command is call:
                    return

    def _ways(self, call: _Command, script: str) -> Iterator[_Command]:
        # One after another: the long texts are put together only where Redis has no library.
        yield call
        yield "FUNCTION", "LOAD", self.text
        yield call
        yield "EVAL", self.script(script), 0


@cache
def library(result_ttl_s: int, clock: str = "") -> Library:
    """Return the library for this setting; `clock`, the text of a part, tells the time instead of `clock.lua`."""
    parts = [clock or _read("clock"), *(_read(part) for part in _PARTS)]
    text = "\n".join([_preamble(result_ttl_s * 1000), *parts, *(_function(name) for name in _SCRIPTS)])
    name = "swapjobs_" + hashlib.sha256(text.encode()).hexdigest()[:12]
    return Library(name, f"local PREFIX = '{name}_'\n{text}")


def _flags(body: str) -> str:
    found = re.search(r"^-- flags: (.+)$", body, re.MULTILINE)
    return found[1] if found else ""


def _function(name: str) -> str:
    body = _read(name)
    flags = _flags(body)
    return f"script('{name}', {{{_quote(flags) if flags else ''}}}, function(ARGV)\n{body}end)"


class _NoRoom(redis.exceptions.OutOfMemoryError):
    """Redis is full and takes no library now."""


def _is_missing(error: redis.ResponseError) -> bool:
    return "Function not found" in str(error)


def _is_loaded(error: redis.ResponseError) -> bool:
    return "already exists" in str(error)


def _read(name: str) -> str:
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
            f"local FIELDS = {{{', '.join(map(_quote, FIELDS))}}}",
            _traffic_numbers(),
            f"local OUTAGES = {{{', '.join(map(_quote, OUTAGES[1:]))}}}",
            f"local OUTAGE = {{{', '.join(f'{name} = {code}' for code, name in enumerate(OUTAGES) if name)}}}",
            f"local SWAPS = {{'{keys.INTERACTIVE}', '{keys.BULK}'}}",
            f"local UNFINISHED = {{{', '.join(map(_quote, sorted(MOVES[Event.CANCEL][0])))}}}",
            f"local RETRY_LINE = {_quote(RETRY_LINE)}",
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
