"""Redis' clock as tests want it: the scripts read it from a key instead of from TIME."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from swapjobs.store.kept_connections import KeptConnections
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings

_KEY: Final = "test:clock"
# Stands in the place of lua/shared/fleet/redis_time.lua.
REDIS_TIME: Final = f"""
return function()
  return tonumber(redis.call('GET', '{_KEY}'))
end
"""


class FakeClock:
    """The time of one Redis, in seconds."""

    def __init__(self, client: Any, start_s: float = 1_800_000_000) -> None:
        self._connections = KeptConnections(client)  # it is moved more often than anything else is asked
        self.now_s = start_s
        self.move(0)

    def move(self, by_s: float) -> None:
        """Let time pass, or jump back."""
        self.now_s += by_s
        self._connections.run("SET", _KEY, f"{self.now_s * 1000:.3f}")


@contextmanager
def clocked_store(settings: WorkerSettings) -> Iterator[Store]:
    """Give a store whose scripts go by a `FakeClock` of its Redis."""
    client = connect(settings)
    FakeClock(client)
    store = Store(client, settings, redis_time=REDIS_TIME)
    store.dispatch.set_limits(settings)
    yield store
    client.close()
