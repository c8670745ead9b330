"""Bundles the Lua files into one library of Redis functions.

Every file is a Lua module as it stands: `require('queue.fair')` gives what lua/shared/queue/fair.lua returns. A file
below lua/functions is one atomic operation and returns its flags and what is called. Only the module `contract` is
written here, from the tables of the Python side: keys, states, moves, messages and the fleet state's numbers. So no
key, state or message is spelled twice.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.job import DEFAULT_TENANT
from swapjobs.contract.lifecycle import MOVES, UNFINISHED, JobState
from swapjobs.contract.metrics import BUCKETS_MS
from swapjobs.contract.vendor_tools.table import DEFAULT_TOOL
from swapjobs.store import celery_message, keys
from swapjobs.store.fleet_state import FIELDS, MAX_PAUSE_MS, OUTAGES, PHASES, RATE_REASONS, STATE, TRAFFIC
from swapjobs.store.record import HEAD, RETRY_ENTRY, URL_EXPIRED_ENTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from importlib.resources.abc import Traversable

# A module is run once, when it is first required. FUNCTION LOAD fails where one is missing or, on the way, requires
# itself: `nil` is called then, since Redis offers no `error` while it loads a library.
_REQUIRE: Final = """local modules, loaded, under_way = {}, {}, {}
local function require(name)
  if loaded[name] == nil then
    local run = not under_way[name] and modules[name]
    under_way[name] = true
    loaded[name] = run()
  end
  return loaded[name]
end"""
# What Redis offers functions stands behind two tables, the library's own and Redis', and is looked up at every use: a
# twentieth of what a job costs. It is not there yet while the library is loaded, so the first call finds it.
_OFFERED: Final = (
    *("math", "string", "table", "redis", "struct", "cjson"),
    *("tonumber", "tostring", "type", "ipairs", "pairs", "next", "unpack", "pcall", "setmetatable", "getmetatable"),
)
_FIND_OFFERED: Final = """local register_function = redis.register_function
local function offered() return {names} end
local {names}
local function find_offered()
  if not math then {names} = offered() end
end""".format(names=", ".join(_OFFERED))
_MAIN: Final = "require('main')(require('functions.{}'))"


@dataclass(frozen=True)
class Library:
    """The functions of one version, under names that hold the text's hash: versions run beside each other.

    Redis keeps a library with its data. Unlike scripts that are sent as such, its modules are set up once and not at
    every call, which was a third of what a call cost.
    """

    name: str
    modules: str
    flags: Mapping[str, str]

    @property
    def text(self) -> str:
        """The library as FUNCTION LOAD takes it."""
        register = "\n".join(self._register(name) for name in self.flags)
        return f"#!lua name={self.name}\n{self.modules}\n{register}"

    def function(self, name: str) -> str:
        """Return the name by which Redis knows `lua/functions/<name>.lua`."""
        return f"{self.name}_{name.replace('/', '_')}"

    def script(self, name: str) -> str:
        """Return one function as a script for EVAL: a full Redis takes no library, but goes on working."""
        flags = self.flags[name]
        shebang = "#!lua" + (f" flags={flags}" if flags else "")
        return f"{shebang}\n{self.modules}\nreturn {_MAIN.format(name.replace('/', '.'))}(KEYS, ARGV)"

    def _register(self, name: str) -> str:
        flags = ", ".join(map(_quote, filter(None, self.flags[name].split(","))))
        callback = _MAIN.format(name.replace("/", "."))
        return (
            f"register_function{{function_name = '{self.function(name)}', flags = {{{flags}}}, callback = {callback}}}"
        )


@cache
def library(redis_time: str = "") -> Library:
    """Return the library; `redis_time`, the text of that module, tells the time in the place of Redis' clock."""
    lua = resources.files("swapjobs.store") / "lua"
    texts = {name.replace("/", "."): text for name, text in _files(lua / "shared")}
    functions = dict(_files(lua / "functions"))
    if redis_time:
        texts["fleet.redis_time"] = redis_time
    texts["contract"] = contract()
    texts |= {f"functions.{name.replace('/', '.')}": text for name, text in functions.items()}
    bodies = (f"modules['{name}'] = function()\n{text}\nend" for name, text in texts.items())
    modules = "\n".join([_FIND_OFFERED, _REQUIRE, *bodies])
    flags = {name: ",".join(re.findall(r"'([a-z-]+)'", _flags(text))) for name, text in functions.items()}
    name = "swapjobs_" + hashlib.sha256(modules.encode()).hexdigest()[:12]
    return Library(name, modules, flags)


def contract() -> str:
    """Return the module `contract`."""
    moves = ", ".join(f"{event} = {_set(sources)}" for event, (sources, _) in MOVES.items())
    return "\n".join(
        [
            "local contract = {}",
            f"contract.keys = {_table(keys.PREFIXES)}",
            f"contract.STATE = {_table({state: state for state in JobState})}",
            f"contract.MOVES = {{{moves}}}",
            f"contract.TARGET = {_table({event: target for event, (_, target) in MOVES.items()})}",
            f"contract.UNFINISHED = {_set(UNFINISHED)}",
            f"contract.UNFINISHED_STATES = {_list(sorted(UNFINISHED))}",
            f"contract.RECORD_HEAD = {_set(HEAD)}",
            f"contract.READY = {_table(keys.READY)}",
            f"contract.TASK_QUEUES = {_list(keys.TASK_QUEUES)}",
            f"contract.MESSAGE = {{{', '.join(f'{lane} = {_message(lane)}' for lane in keys.LANES)}}}",
            f"contract.READ_MESSAGE = {_message(keys.INTERACTIVE, celery_message.READ_TASK)}",
            f"contract.SWAP_LANES = {_list([keys.INTERACTIVE, keys.BULK])}",
            f"contract.OUTAGES = {_list(OUTAGES[1:])}",
            f"contract.OUTAGE = {_places(OUTAGES)}",
            f"contract.PHASE = {_places(PHASES)}",
            f"contract.RATE_REASON = {_places(RATE_REASONS)}",
            f"contract.RETRY_ENTRY = {_quote(RETRY_ENTRY)}",
            f"contract.URL_EXPIRED = '{ErrorCode.IMAGE_UNREACHABLE}'",
            f"contract.URL_EXPIRED_ENTRY = {_quote(URL_EXPIRED_ENTRY)}",
            f"contract.MAX_PAUSE_MS = {MAX_PAUSE_MS}",
            f"contract.DEFAULT_TOOL = {_quote(DEFAULT_TOOL)}",
            f"contract.DEFAULT_TENANT = {_quote(DEFAULT_TENANT)}",
            f"contract.BUCKETS = {_table_of_numbers(BUCKETS_MS)}",
            *_fleet_state(),
            "return contract",
        ]
    )


def _fleet_state() -> Iterator[str]:
    # Spelled out, since loops over names would cost more than all else that most functions do.
    yield f"contract.FIELDS = {_list(FIELDS)}"
    yield f"local fleet, seldom = {{spacing = 0, result_ttl_ms = 0, {_zeros(TRAFFIC)}}}, {{{_zeros(STATE)}}}"
    yield "contract.fleet, contract.seldom = fleet, seldom"
    yield from _packing("traffic", "fleet", TRAFFIC)
    yield from _packing("state", "seldom", STATE)


def _packing(what: str, table: str, fields: Mapping[str, float]) -> Iterator[str]:
    names, form = ", ".join(f"{table}.{name}" for name in fields), f"'<{'d' * len(fields)}'"
    defaults = struct.pack(f"<{len(fields)}d", *fields.values())
    yield f"contract.default_{what} = {_quote(defaults.decode('latin-1'))}"
    yield f"function contract.unpack_{what}(text) {names} = struct.unpack({form}, text) end"
    yield f"function contract.pack_{what}() return struct.pack({form}, {names}) end"


def _zeros(names: Iterable[str]) -> str:
    return ", ".join(f"{name} = 0" for name in names)


def _message(lane: str, task: str | None = None) -> str:
    # In parts, between which the id goes: put together they cost a tenth of a search for its place.
    return _list(celery_message.template(lane, task).split(celery_message.ID))


def _files(folder: Traversable, inside: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{inside}{entry.name}/")
        elif entry.name.endswith(".lua"):
            yield inside + entry.name.removesuffix(".lua"), entry.read_text(encoding="utf-8")


def _flags(text: str) -> str:
    match = re.search(r"^return \{flags = \{(.*?)\}, call = ", text, re.MULTILINE)
    if match is None:
        raise ValueError(f"a file of lua/functions must end in `return {{flags = ..., call = ...}}`:\n{text}")
    return match[1]


def _table(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name} = {_quote(str(value))}" for name, value in values.items()) + "}"


def _set(values: Iterable[str]) -> str:
    return "{" + ", ".join(f"{value} = true" for value in sorted(values)) + "}"


def _list(values: Iterable[str]) -> str:
    return "{" + ", ".join(map(_quote, values)) + "}"


def _table_of_numbers(values: Mapping[str, Iterable[int]]) -> str:
    return "{" + ", ".join(f"{name} = {{{', '.join(map(str, numbers))}}}" for name, numbers in values.items()) + "}"


def _places(names: Iterable[str]) -> str:
    return "{" + ", ".join(f"{name} = {place}" for place, name in enumerate(names) if name) + "}"


def _quote(text: str) -> str:
    return (
        "'" + "".join(char if " " <= char <= "~" and char not in "'\\" else f"\\{ord(char):03d}" for char in text) + "'"
    )
