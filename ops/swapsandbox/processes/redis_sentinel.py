"""A Redis with a replica and sentinels, real processes on loopback, for rehearsing a failover."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from swapsandbox.processes.redis_server import EmbeddedRedis, find_server
from swapsandbox.processes.scoped import Scoped

if TYPE_CHECKING:
    from pathlib import Path

SERVICE: Final = "swaps"
# A master that is silent for so long is down; an election that came to nothing is held again after a few of these.
_DOWN_AFTER_MS: Final = 1000


class SentinelProcess(EmbeddedRedis):
    """One sentinel: the same server program in its other mode."""

    def __init__(self, folder: Path, *, master_port: int, quorum: int) -> None:
        super().__init__(folder)
        self._watched = f"{SERVICE} 127.0.0.1 {master_port} {quorum}"

    def command(self) -> list[str]:
        """Write the configuration, a file of the sentinel's own, and return the command line."""
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f'dir "{self.folder}"',
            f'logfile "{self.folder / "redis.log"}"',
            f"sentinel monitor {self._watched}",
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} {3 * _DOWN_AFTER_MS}",
        )
        file = self.folder / "sentinel.conf"
        if not file.exists():  # at a second start it holds what the sentinel has learned
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [find_server(), str(file), "--sentinel"]


class SentinelRedis(Scoped):
    """A master, its replicas, and the sentinels that watch them.

    Example:
        >>> with SentinelRedis(tmp_path) as servers:
        ...     SwapClient(CoreSettings(redis_url=servers.url))
        ...     servers.kill_master()
    """

    def __init__(self, folder: Path, *, replicas: int = 1, sentinels: int = 3) -> None:
        at_once = ("--repl-diskless-sync-delay", "0")  # else a master waits 5 s for more replicas
        master = EmbeddedRedis(folder / "server-0", *at_once)
        replica = (*at_once, "--replicaof", "127.0.0.1", str(master.port))
        self.servers = [master, *(EmbeddedRedis(folder / f"server-{n + 1}", *replica) for n in range(replicas))]
        self.sentinels = [
            SentinelProcess(folder / f"sentinel-{n}", master_port=master.port, quorum=sentinels // 2 + 1)
            for n in range(sentinels)
        ]

    @property
    def url(self) -> str:
        """The address as SWAPJOBS_REDIS_URL takes it."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def start(self, *, deadline_s: float = 30.0) -> None:
        """Start all and return when a failover would succeed.

        Raises:
            RuntimeError: not so in time; the logs are in the folder.
        """
        until = time.monotonic() + deadline_s
        for server in self.servers:
            server.start()
        # Before the sentinels: a replica that the master does not know at their first look is found 10 s later.
        while not all(_is_linked(replica) for replica in self.servers[1:]):
            _pause(until, "a replica is not linked to the master")
        for sentinel in self.sentinels:
            sentinel.start()
        while not all(self._knows_all(sentinel) for sentinel in self.sentinels):
            _pause(until, "a sentinel does not know the others")

    def master(self) -> EmbeddedRedis:
        """Return the server that the sentinels call the master now."""
        for sentinel in self.sentinels:
            with contextlib.suppress(redis.RedisError), redis.Redis(port=sentinel.port) as client:
                port = int(_state(client)["port"])
                return next(server for server in self.servers if server.port == port)
        raise RuntimeError("no sentinel answers")

    def kill_master(self) -> EmbeddedRedis:
        """End the master with SIGKILL and return it; its `start` brings it back."""
        master = self.master()
        if master.process is not None:
            master.process.kill()
            master.process.wait()
        return master

    def stop(self) -> None:
        """Stop all and wait until they are gone; the sentinels first, who would elect a new master."""
        for process in (*self.sentinels, *self.servers):
            process.stop()

    def _knows_all(self, sentinel: SentinelProcess) -> bool:
        with redis.Redis(port=sentinel.port) as client:
            state = _state(client)
        known = (int(state["num-slaves"]), int(state["num-other-sentinels"]))
        return known == (len(self.servers) - 1, len(self.sentinels) - 1)


def _state(client: redis.Redis) -> Any:
    masters: Any = client.sentinel_masters()
    return masters[SERVICE]


def _is_linked(replica: EmbeddedRedis) -> bool:
    with redis.Redis(port=replica.port) as client:
        info: Any = client.info("replication")
    return bool(info["master_link_status"] == "up")


def _pause(until: float, what: str) -> None:
    if time.monotonic() > until:
        raise RuntimeError(f"Sentinel: {what}; see the logs")
    time.sleep(0.05)
