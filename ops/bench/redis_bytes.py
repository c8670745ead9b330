"""What jobs take of Redis' memory: as the server's own sum, and key by key; both are told, to be compared.

A fresh server's first jobs would pay for what comes once: the library of functions (0.2 MB), how long each command
takes (30 kB for every command that was ever used), the buffers of connections and of the append-only file. So the
library is loaded first, and the rest is left out of the sum.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any, Final

from swapjobs.store import keys

TABLES: Final = "(hash tables)"
SUM: Final = "(sum)"
USED: Final = "(used_memory)"
_KIND: Final = re.compile(r"swapjobs:([^:]+)")
_BLOCK: Final = 1000
_FEW: Final = 1000  # keys of one kind that are always looked at, each
_STEADY_S: Final = 0.3


def held(client: Any) -> int:
    """Return the server's `used_memory` without its clients' buffers and that of the append-only file."""
    facts = client.info("memory")
    return int(facts["used_memory"] - facts["mem_clients_normal"] - facts["mem_aof_buffer"])


def settled(client: Any, seconds: float = 20) -> int:
    """Return the same when it doesn't change any more: tables that grow or shrink do so in the background.

    The server's statistics begin anew: only so are those of commands' times given up.
    """
    client.config_resetstat()
    until, before, now = time.monotonic() + seconds, -1, held(client)
    while abs(now - before) > now / 10_000 and time.monotonic() < until:
        time.sleep(_STEADY_S)
        before, now = now, held(client)
    return now


def kind_of(key: str) -> str:
    """Return what a key is: `job`, `tombstones`, `index` and so on; of plain Celery what stands before."""
    match = _KIND.match(key)
    return match[1] if match else re.split(r"[-.:\x06]", key.lstrip("_"))[0] + "*"


TOMBSTONE: Final = kind_of(keys.tombstones("id"))
OBSERVED: Final = kind_of(keys.observed())


def by_kind(client: Any, limit: int = 100_000) -> tuple[dict[str, float], dict[str, int]]:
    """Return the bytes of all keys by what they are, with the tables in which they stand, and how many keys there are.

    Bytes are `MEMORY USAGE key SAMPLES 0`. Where there are more than `limit` keys each n-th of a kind stands for n.
    """
    step = client.dbsize() // limit + 1
    count, looked_at = Counter[str](), Counter[str]()
    sizes = Counter[str]()
    block: list[tuple[str, str]] = []

    def look() -> None:
        with client.pipeline(transaction=False) as pipe:
            for _, key in block:
                pipe.memory_usage(key, samples=0)
            for (kind, _), size in zip(block, pipe.execute(), strict=True):
                sizes[kind] += size or 0  # none: it has gone by now
                looked_at[kind] += 1
        block.clear()

    for key in client.scan_iter(count=_BLOCK):
        kind = kind_of(key)
        count[kind] += 1
        if count[kind] <= _FEW or count[kind] % step == 0:
            block.append((kind, key))
        if len(block) == _BLOCK:
            look()
    look()
    tables = client.memory_stats().get("db.0", {})
    sized = {kind: sizes[kind] * count[kind] / looked_at[kind] for kind in count}
    sized[TABLES] = float(sum(size for name, size in tables.items() if name.startswith("overhead.hashtable")))
    return dict(sorted(sized.items(), key=lambda item: -item[1])), dict(count)


def of_jobs(client: Any, jobs: int) -> float:
    """Return what each of so many jobs takes of the keys that grow with them: the same for few jobs as for many.

    Tombstones do not, in 1,024 hashes of a handful of fields each, nor Redis' tables, which grow by doubling, nor what
    the metrics have still to count.
    """
    sizes, _ = by_kind(client)
    return sum(size for kind, size in sizes.items() if kind not in (TABLES, TOMBSTONE, OBSERVED)) / jobs


def without(kind: str, used: float, sizes: dict[str, float], count: dict[str, int]) -> float:
    """Return the bytes that would be left if there were no keys of this kind, with their share of the tables."""
    return used - sizes.get(kind, 0) - sizes[TABLES] * count.get(kind, 0) / max(sum(count.values()), 1)
