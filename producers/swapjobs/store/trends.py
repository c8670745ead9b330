"""What was counted by the minute, by the hour, and by tenant and day: written by lua/shared/fleet/trends.lua.

Bounded whatever is done: some ten fields a minute for a day and an hour for a month, 0.9 MB, and at most 5,000
fields a day of tenants.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.trend import Slot
from swapjobs.store import keys
from swapjobs.store.redis_client import time_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import redis

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_PER_HOUR: Final = _HOUR_S // _MINUTE_S
_PER_DAY: Final = _DAY_S // _HOUR_S


class TrendStore:
    """The trends in one Redis. They lag behind by up to 10 s; `MetricStore.read` brings them up to now.

    `now_s`, for all methods, is the Unix time; by Redis' clock unless it is given.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def by_minute(self, number: int, now_s: float | None = None) -> list[Slot]:
        """Return the last minutes, at most 1,440, the one that has begun last; empty ones too."""
        return self._slots(number, self._now(now_s), _MINUTE_S, _PER_HOUR, keys.minutes)

    def by_hour(self, number: int, now_s: float | None = None) -> list[Slot]:
        """Return the last hours, at most 720, in the same way."""
        return self._slots(number, self._now(now_s), _HOUR_S, _PER_DAY, keys.hours)

    def usage(self, days: int, now_s: float | None = None) -> dict[str, dict[str, int]]:
        """Return tenant -> outcome -> how many of its jobs ended so in the last days (UTC), at most 31, with today.

        Tenants past the first some thousand of a day are the tenant without a name.
        """
        today = self._now(now_s) // _DAY_S
        with self._redis.pipeline(transaction=False) as pipe:
            for day in range(today - days + 1, today + 1):
                pipe.hgetall(keys.usage(str(day)))
            answers = pipe.execute()
        result: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for fields in answers:
            for field, count in fields.items():
                tenant, _, outcome = field.partition(" ")
                result[tenant][outcome] += int(count)
        return result

    def _now(self, now_s: float | None) -> int:
        return time_ms(self._redis) // 1000 if now_s is None else int(now_s)

    def _slots(self, number: int, now_s: int, width_s: int, per_key: int, key_of: Callable[[str], str]) -> list[Slot]:
        last = now_s // width_s
        first = last - number + 1
        groups = range(first // per_key, last // per_key + 1)
        with self._redis.pipeline(transaction=False) as pipe:
            for group in groups:
                pipe.hgetall(key_of(str(group)))
            answers: list[Mapping[str, Any]] = pipe.execute()
        counts: dict[int, dict[str, int]] = defaultdict(dict)
        for group, fields in zip(groups, answers, strict=True):
            for field, count in fields.items():
                place, _, what = field.partition(" ")
                counts[group * per_key + int(place)][what] = int(count)
        return [Slot(datetime.fromtimestamp(n * width_s, UTC), counts.get(n, {})) for n in range(first, last + 1)]
