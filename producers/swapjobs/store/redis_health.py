"""Is this Redis fit for the job? Asked by workers at start and by `swapjobs doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import redis

OLDEST: Final = (7, 2)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be; `fatal` problems keep a worker from starting."""

    what: str
    remedy: str
    fatal: bool


def server_facts(client: redis.Redis) -> dict[str, str]:
    """Return version, eviction policy and persistence of the server.

    Raises:
        redis.RedisError: it cannot be reached.
    """
    info: dict[str, Any] = client.info()
    name = "Valkey" if "valkey_version" in info else "Redis"
    return {
        "server": f"{name} {info.get('valkey_version') or info['redis_version']}",
        "maxmemory_policy": str(info.get("maxmemory_policy", "unknown")),
        "append_only": "on" if int(info.get("aof_enabled", 0)) else "off",
        "memory": f"{info['used_memory_human']} of {info['maxmemory_human'] if info['maxmemory'] else 'no limit'}",
    }


def memory(client: redis.Redis) -> tuple[int, int]:
    """Return how many bytes the server uses, and how many it may; 0: as many as there are.

    Raises:
        redis.RedisError: it cannot be reached.
    """
    info: dict[str, Any] = client.info("memory")
    return int(info["used_memory"]), int(info["maxmemory"])


def server_problems(client: redis.Redis, *, fsync: bool = False) -> list[Problem]:
    """Return what is wrong with the server; `fsync`: also for producers who wait until their jobs are on its disk.

    Raises:
        redis.RedisError: it cannot be reached.
    """
    facts = server_facts(client)
    problems = []
    version = tuple(int(part) for part in facts["server"].split()[1].split(".")[:2])
    if version < OLDEST:
        problems.append(Problem(f"{facts['server']} is too old", "use Redis or Valkey 7.2 or newer", fatal=True))
    if facts["maxmemory_policy"] not in {"noeviction", "unknown"}:
        problems.append(
            Problem(
                f"the eviction policy is {facts['maxmemory_policy']}: Redis may throw jobs away",
                "CONFIG SET maxmemory-policy noeviction",
                fatal=True,
            )
        )
    if facts["append_only"] == "off":
        what = "the append-only file is off: a restart of Redis loses jobs"
        if fsync:
            what += ", and every submit fails with SWAPJOBS_SUBMIT_DURABILITY=fsync"
        problems.append(Problem(what, "CONFIG SET appendonly yes", fatal=fsync))
    return problems
