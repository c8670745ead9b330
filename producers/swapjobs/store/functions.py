"""Runs the Lua scripts, together one Redis library of functions: one file per atomic operation, see `lua_text.py`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import redis

from swapjobs.store.library import flags_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis.client import Pipeline

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
        flags = flags_of(name)
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
    text = text_of(result_ttl_s * 1000, clock)
    name = "swapjobs_" + hashlib.sha256(text.encode()).hexdigest()[:12]
    return Library(name, f"local PREFIX = '{name}_'\n{text}")


class _NoRoom(redis.exceptions.OutOfMemoryError):
    """Redis is full and takes no library now."""


def _is_missing(error: redis.ResponseError) -> bool:
    return "Function not found" in str(error)


def _is_loaded(error: redis.ResponseError) -> bool:
    return "already exists" in str(error)
