"""Single commands on connections that are kept: for what is sent with every job.

redis-py wraps each command in a retry, metrics and callbacks, none of which is used here, and fetches and returns its
connection under locks, with a report of each. A call of a function costs its caller 60 us of CPU so, and 30 here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import redis

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface

# A connection that rested for longer is looked at before it is used: Redis may have closed it. No server ends and is
# back in so short a time (in 40 kills 36 ms were the least), and where jobs come fast the look would be a tenth of what
# a call costs.
_RESTED_S: Final = 0.01


class KeptConnections:
    """Connections of a client's pool that stay taken from it; the one used last is taken first. Thread-safe.

    There are as many as commands were under way at once. One that Redis has closed meanwhile, that belongs to the
    process before a fork, or that leads to a server which Sentinel does not call the master any more, goes back to the
    pool, and the pool gives another.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pool = client.connection_pool
        self._idle: deque[tuple[ConnectionInterface, float]] = deque()  # whose append and pop are atomic

    def run(self, *command: str | float) -> Any:
        """Send a command and return its answer, as `client.execute_command` does; nothing is tried again.

        Raises:
            redis.RedisError: the same as there.
        """
        connection: Any = self._take()
        try:
            connection.send_command(*command)
            answer = connection.read_response()
        except redis.ResponseError:
            self._idle.append((connection, time.monotonic()))  # that is an answer too
            raise
        except BaseException:
            self._give_up(connection)
            raise
        self._idle.append((connection, time.monotonic()))
        return answer

    def _take(self) -> ConnectionInterface:
        if self._pool is not self._client.connection_pool:
            self._pool = self._client.connection_pool
            self._idle.clear()
        while True:
            try:
                connection, used_at = self._idle.pop()
            except IndexError:
                return self._pool.get_connection()
            if self._is_fit(connection, used_at):
                return connection
            self._give_up(connection)

    def _is_fit(self, connection: Any, used_at: float) -> bool:
        is_ours = connection.pid == os.getpid() and self._pool.owns_connection(connection)
        if not (is_ours and connection.is_connected) or connection.should_reconnect():
            return False
        if time.monotonic() - used_at < _RESTED_S:
            return True
        try:
            # What can be read before anything was asked: the end of the connection, or an answer to nobody.
            return not connection.can_read()
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _give_up(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)
