"""A Redis that is killed after it wrote to its file all that it had answered.

With `appendfsync everysec` it keeps writes to itself for as long as an earlier sync of its file takes, two seconds at
most: on a busy disk what it answered a moment before a SIGKILL may be lost (docs/operations/redis.md). A test of what
survives its process must not depend on how busy the disk is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from swapsandbox.processes.redis_server import EmbeddedRedis


def write_out(server: EmbeddedRedis) -> None:
    """Return when all that the server has answered is in its file, as far as the kernel."""
    with redis.Redis.from_url(server.url) as admin:
        # without a rhythm for syncs there is none to wait for: it writes before it answers
        admin.config_set("appendfsync", "no")
        admin.config_set("appendfsync", "everysec")


def kill_redis(server: EmbeddedRedis) -> None:
    """End the server with SIGKILL; what it has answered is there when it starts again."""
    assert server.process is not None
    write_out(server)
    server.process.kill()
    server.process.wait()
