"""What is counted by the minute, the hour and the tenant's day: right, bounded, and gone in time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from support.builders import claim, submit
from support.fake_clock import FakeClock, clocked_store
from swapjobs.contract.lifecycle import Event
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from swapjobs.contract.trend import Slot
    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

HOUR_S = 3600


def succeed(store: Store, id_: str) -> None:
    claimed = claim(store, id_)
    entry = record.entry("result", output_url="https://out.example/1.png")
    store.attempts.record_outcome(
        claimed, Event.SUCCEED, patch={}, entry=entry, call="roop swap succeeded", call_ms=900
    )


def dispatch(store: Store) -> None:
    store.dispatch.dispatch_due("dispatcher", 30, stayed=True)


def filled(slots: list[Slot]) -> list[tuple[int, dict[str, int]]]:
    """Return the slots in which something was, with how far each is from the last."""
    return [(number - len(slots) + 1, dict(slot.counts)) for number, slot in enumerate(slots) if slot.counts]


def test_what_happens_is_counted_in_its_minute_and_its_hour(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        dispatch(store)
        ids = [submit(store) for _ in range(3)]
        succeed(store, ids[0])
        clock.move(120)
        store.jobs.cancel(ids[1])  # in a minute of its own, though it is added up later
        clock.move(60)
        dispatch(store)
        minutes = filled(store.trends.by_minute(60, clock.now_s))
        assert minutes == [
            (-3, {"succeeded": 1, "billed roop": 1}),
            (-1, {"cancelled": 1}),
            (0, {"submitted": 3, "calls": 1}),
        ]
        clock.move(HOUR_S)
        assert filled(store.trends.by_hour(24, clock.now_s)) == [
            (-1, {"succeeded": 1, "billed roop": 1, "cancelled": 1, "submitted": 3, "calls": 1})
        ]
        assert len(store.trends.by_minute(1440, clock.now_s)) == 1440
        assert len(store.trends.by_hour(720, clock.now_s)) == 720


def test_the_dispatcher_adds_it_up_every_ten_seconds(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        dispatch(store)
        submit(store)
        clock.move(5)
        dispatch(store)
        before = filled(store.trends.by_minute(5, clock.now_s))
        clock.move(5)
        dispatch(store)
        assert (before, filled(store.trends.by_minute(5, clock.now_s))) == ([], [(0, {"submitted": 1})])


def test_the_failures_codes_are_told_apart(store: Store) -> None:
    id_ = submit(store)
    entry = record.entry("error", code="no_face", message="no face found")
    store.attempts.record_outcome(claim(store, id_), Event.FAIL, patch={"code": "no_face"}, entry=entry)
    store.metrics.read()
    ((_, counts),) = filled(store.trends.by_minute(2))
    assert counts == {"submitted": 1, "failed no_face": 1}


def test_the_jobs_of_each_tenant_are_counted_by_day(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        for tenant in ("acme", "acme", "zeta"):
            succeed(store, submit(store, tenant=tenant))
        store.metrics.read()
        clock.move(24 * HOUR_S)
        store.jobs.cancel(submit(store, tenant="zeta"))
        store.metrics.read()
        assert store.trends.usage(1, clock.now_s) == {"zeta": {"cancelled": 1}}
        assert store.trends.usage(2, clock.now_s) == {
            "acme": {"succeeded": 2},
            "zeta": {"succeeded": 1, "cancelled": 1},
        }


def test_it_takes_so_much_room_and_is_gone_in_time(settings: WorkerSettings) -> None:
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        day = str(int(clock.now_s) // 86_400)
        store.redis.hset(keys.usage(day), mapping={f"tenant-{number} succeeded": 1 for number in range(4999)})
        for tenant in ("first", "second", "third", "tenant-7"):
            store.jobs.cancel(submit(store, tenant=tenant))
        succeed(store, submit(store, tenant="tenant-7"))
        store.metrics.read()
        usage = store.trends.usage(1, clock.now_s)
        assert sum(map(len, usage.values())) <= 5000 + len({"succeeded", "cancelled"})
        assert usage["tenant-7"]["succeeded"] == 2
        assert Counter(usage[""]) + Counter(usage.get("first", {})) >= Counter(cancelled=1)
        ends = {key: int(store.redis.pttl(key)) for key in store.redis.scan_iter(f"{keys.PREFIX}*")}
        assert 0 < ends[keys.minutes(str(int(clock.now_s) // HOUR_S))] <= 25 * HOUR_S * 1000
        assert all(0 < ends[key] <= 32 * 86_400_000 for key in (keys.hours(day), keys.usage(day)))


def test_what_was_counted_long_ago_is_not_counted_as_of_now(settings: WorkerSettings) -> None:
    """A fleet without a worker for days adds up late what was observed then."""
    with clocked_store(settings) as store:
        clock = FakeClock(store.redis)
        dispatch(store)
        store.jobs.cancel(submit(store))
        clock.move(48 * HOUR_S)
        dispatch(store)
        assert all("cancelled" not in slot.counts for slot in store.trends.by_minute(1440, clock.now_s))
        assert sum(slot.counts.get("cancelled", 0) for slot in store.trends.by_hour(720, clock.now_s)) == 1
