"""Calls the Lua functions: each is one atomic operation, a file below lua/functions; `library.py` bundles them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis

from swapjobs.store import keys
from swapjobs.store.kept_connections import KeptConnections
from swapjobs.store.redis_client import time_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis.client import Pipeline

    from swapjobs.store.library import Library

_Command = tuple[str | int, ...]
_UNUSED_MS: Final = 86_400_000  # a library that no worker has used for so long is deleted


class Functions:
    """The functions of one Redis client, as a library that is loaded when Redis does not have it."""

    def __init__(self, client: redis.Redis, library: Library, result_ttl_s: int) -> None:
        self._client = client
        self._connections = KeptConnections(client)
        self._library = library
        self._ttl_ms = result_ttl_s * 1000
        self._is_loaded = False

    def call(self, name: str, *args: str | float) -> Any:
        """Run `lua/functions/<name>.lua` atomically and return its answer."""
        try:
            call = "FCALL", self._library.function(name), 0, *args, self._ttl_ms
            return self.with_library(lambda: self._connections.run(*call))
        except _NoRoom:
            return self._client.eval(self._library.script(name), 0, *args, self._ttl_ms)

    def queue(self, pipe: Pipeline, name: str, args: Sequence[str | float]) -> None:
        """Put the call into a pipeline, which is to be executed within `with_library`."""
        if not self._is_loaded:
            self._load()
        pipe.fcall(self._library.function(name), 0, *args, self._ttl_ms)

    def with_library(self, call: Callable[[], Any]) -> Any:
        """Make a call that runs functions; again, when Redis did not know them and so did nothing."""
        try:
            return call()
        except redis.ResponseError as error:
            if not _is_missing(error):
                raise
            self._load()
            return call()

    def delete_unused(self) -> list[str]:
        """Note that this version is in use, and delete libraries of ours that no worker used for a day; return those.

        Raises:
            redis.RedisError: Redis cannot be asked, or may not be (`+function|list`, `+function|delete`).
        """
        now_ms = time_ms(self._client)
        self._client.hset(keys.libraries(), self._library.name, now_ms)
        self._client.expire(keys.libraries(), 2 * _UNUSED_MS // 1000)
        seen: Any = self._client.hgetall(keys.libraries())
        deleted = []
        for entry in self._client.function_list(library="swapjobs_*"):
            name = str(entry[1])
            if name not in seen:
                self._client.hset(keys.libraries(), name, now_ms)  # of a version whose workers did not say so
            elif int(seen[name]) < now_ms - _UNUSED_MS:
                self._client.function_delete(name)
                self._client.hdel(keys.libraries(), name)
                deleted.append(name)
        return deleted

    def _load(self) -> None:
        try:
            self._client.function_load(self._library.text)
        except redis.exceptions.OutOfMemoryError as error:
            raise _NoRoom(*error.args) from None
        except redis.ResponseError as error:
            if not _is_loaded(error):
                raise
        self._is_loaded = True


def call_on_connect(connection: Any, library: Library, name: str, result_ttl_s: int) -> None:
    """Run a function without arguments of its own on a connection that is just being made."""
    ttl_ms = result_ttl_s * 1000
    call = ("FCALL", library.function(name), 0, ttl_ms)
    for command in _ways(call, library, name, ttl_ms):
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


def _ways(call: _Command, library: Library, name: str, ttl_ms: int) -> Iterator[_Command]:
    # One after another: the long texts are put together only where Redis has no library.
    yield call
    yield "FUNCTION", "LOAD", library.text
    yield call
    yield "EVAL", library.script(name), 0, ttl_ms


class _NoRoom(redis.exceptions.OutOfMemoryError):
    """Redis is full and takes no library now."""


def _is_missing(error: redis.ResponseError) -> bool:
    return "Function not found" in str(error)


def _is_loaded(error: redis.ResponseError) -> bool:
    return "already exists" in str(error)
