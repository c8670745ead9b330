"""What a workload needs: slots, processes, cores, Redis' CPU, memory and disk, hours; and what is the first wall.

Arithmetic over measured costs (`measured.py`, written by the benchmark), without Redis and without network.
`docs/operations/capacity.md` explains it, and tells how they are measured again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from swapjobs.monitoring.measured import (
    AOF_BYTES,
    AOF_REWRITTEN_BYTES,
    FINISHED_BYTES,
    HOOK_CPU_US,
    IDLE_CPU_US,
    NETWORK_BYTES,
    OTHER_CONNECTIONS,
    QUEUED_BYTES,
    REDIS_CPU_US,
    REDIS_SUBMIT_CPU_US,
    SWAP_CPU_US,
    TOMBSTONE_BYTES,
)

# -- chosen
RATE_USED: Final = 0.985  # the rest is in reserve, so that calls that leave late break no limit
HEADROOM: Final = 1.25  # slots for calls that take longer than usual
BETWEEN_CALLS_S: Final = 0.05  # of a slot, around each call: claim, result, the next message
FULL: Final = 0.7  # of a core, a network: what is planned with, the rest is for bad days
MAX_SLOTS: Final = 400  # of one process
HOOK_S: Final = 0.2  # a receiver's answer
HOOK_SLOTS: Final = 16  # SWAPJOBS_WEBHOOK_CONCURRENCY
TOMBSTONE_S: Final = 40 * 86_400
USABLE: Final = 0.8  # of `maxmemory`: what is planned with
GUARD: Final = 0.9  # of `maxmemory`: from here on submits are refused

# -- what one Redis is planned to have at most, before a second cell is the better way
REDIS_BYTES: Final = 32e9  # a restart reads all of it, a rewrite forks and writes all of it
MAX_CLIENTS: Final = 10_000  # Redis' default
NETWORK_BITS: Final = 1e9
DISK_BYTES_PER_S: Final = 100e6


@dataclass(frozen=True)
class Wall:
    """Something that one Redis has so much of, and the share of it that is used: 1 is full."""

    name: str
    used: float


@dataclass(frozen=True)
class Plan:
    """What a workload needs. Bytes are plain bytes, cores those of the machine in docs/operations/capacity.md."""

    rate_per_s: float
    latency_s: float
    jobs: int
    result_ttl_s: int
    hours: float  # until all are done
    slots: int  # of the whole fleet
    processes: int  # of swap workers
    concurrency: int  # slots of each: SWAPJOBS_CONCURRENCY
    webhook_processes: int
    worker_cores: float
    redis_cores: float  # Redis has one to use
    queued_bytes: float  # Redis' memory when all are queued
    peak_bytes: float  # its most at any time
    maxmemory_bytes: float  # what to set for that peak
    endless_bytes: float  # its most when jobs come at this rate for ever
    aof_bytes_per_hour: float  # appended
    aof_disk_bytes: float  # the file before, and a new one while it is rewritten
    network_bits_per_s: float
    connections: int  # to Redis, at most
    walls: tuple[Wall, ...]  # the first wall is the first
    cells: int  # a vendor account, a Redis and its workers each


def plan(rate_per_s: float, latency_s: float, jobs: int, *, result_ttl_s: int) -> Plan:
    """Return what it takes to make `jobs` calls of `latency_s` at `rate_per_s`, every job with a webhook.

    Raises:
        ValueError: a number is not positive, or not finite.
    """
    for name, value in (("rate", rate_per_s), ("latency", latency_s), ("jobs", jobs), ("result_ttl_s", result_ttl_s)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, not {value}")
    slots = math.ceil(rate_per_s * (latency_s + BETWEEN_CALLS_S) * HEADROOM)
    processes = max(math.ceil(slots / MAX_SLOTS), math.ceil(_cores(rate_per_s, SWAP_CPU_US)))
    webhook_slots = math.ceil(rate_per_s * HOOK_S * HEADROOM)
    webhook_processes = max(math.ceil(webhook_slots / HOOK_SLOTS), math.ceil(_cores(rate_per_s, HOOK_CPU_US)))
    redis_cores = rate_per_s * (REDIS_SUBMIT_CPU_US + REDIS_CPU_US) / 1e6
    redis_cores += (processes + webhook_processes) * IDLE_CPU_US / 1e6
    connections = slots + webhook_processes * HOOK_SLOTS + (processes + webhook_processes) * OTHER_CONNECTIONS
    peak = _peak_bytes(rate_per_s, jobs, result_ttl_s)
    walls = _walls(rate_per_s, redis_cores, peak, connections)
    return Plan(
        rate_per_s=rate_per_s,
        latency_s=latency_s,
        jobs=jobs,
        result_ttl_s=result_ttl_s,
        hours=jobs / rate_per_s / RATE_USED / 3600,
        slots=slots,
        processes=processes,
        concurrency=math.ceil(slots / processes),
        webhook_processes=webhook_processes,
        worker_cores=_cores(rate_per_s, SWAP_CPU_US + HOOK_CPU_US),
        redis_cores=redis_cores,
        queued_bytes=jobs * QUEUED_BYTES,
        peak_bytes=peak,
        maxmemory_bytes=peak / USABLE,
        endless_bytes=rate_per_s * _bytes_per_rate(result_ttl_s),
        aof_bytes_per_hour=rate_per_s * 3600 * AOF_BYTES,
        aof_disk_bytes=3 * jobs * AOF_REWRITTEN_BYTES,
        network_bits_per_s=rate_per_s * NETWORK_BYTES * 8,
        connections=connections,
        walls=walls,
        cells=math.ceil(walls[0].used),
    )


def endless_rate(maxmemory_bytes: float, result_ttl_s: float) -> float:
    """Return the jobs per second that may come for ever before a Redis of this size refuses any."""
    return GUARD * maxmemory_bytes / _bytes_per_rate(result_ttl_s)


def _bytes_per_rate(result_ttl_s: float) -> float:
    """Return the bytes that are held for each job per second: records, then for 40 days their tombstones alone."""
    return result_ttl_s * FINISHED_BYTES + TOMBSTONE_S * TOMBSTONE_BYTES


def _walls(rate_per_s: float, redis_cores: float, peak_bytes: float, connections: int) -> tuple[Wall, ...]:
    """Return how much of each thing that one Redis has is used, the fullest first."""
    walls = (
        Wall("Redis CPU", redis_cores / FULL),
        Wall("Redis memory", peak_bytes / USABLE / REDIS_BYTES),
        Wall("connections", connections / MAX_CLIENTS),
        Wall("network of Redis", rate_per_s * NETWORK_BYTES * 8 / NETWORK_BITS / FULL),
        Wall("disk of Redis", rate_per_s * AOF_BYTES / DISK_BYTES_PER_S / FULL),
    )
    return tuple(sorted(walls, key=lambda wall: -wall.used))


def _cores(rate_per_s: float, us: float) -> float:
    """Return how many cores this many microseconds a job take, none of them quite busy."""
    return rate_per_s * us / 1e6 / FULL


def _peak_bytes(rate_per_s: float, jobs: int, ttl_s: float) -> float:
    """Return the most that Redis holds, from all queued until nothing is left.

    That is when the first record becomes a tombstone, or when all are finished: until then each finished job adds what
    its record has more than a queued one's, and after it less comes than goes.
    """
    return jobs * QUEUED_BYTES + min(jobs, rate_per_s * ttl_s) * (FINISHED_BYTES - QUEUED_BYTES)
