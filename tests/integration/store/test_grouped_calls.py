"""Claims and outcomes of several threads in one call: each as if it had been alone."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING, Any

import pytest
import redis

from support.builders import claim, job_of, submit, wait_until
from support.fake_clock import REDIS_TIME, FakeClock
from support.traffic_state import poke
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.tenant import TenantLimits
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import fleet_state, keys, record
from swapjobs.store.claims import Claim
from swapjobs.store.grouped_calls import GroupedCalls
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from swapjobs.store.functions import Functions
    from swapjobs.store.webhooks.deliveries import DeliveryStore

Operation = tuple[str, list[Any]]
LEASE_MS = 30_000


def several(store: Store, operations: Sequence[Operation]) -> list[Any]:
    """Run operations in one call of Redis."""
    flat = [item for name, args in operations for item in (name, len(args), *args)]
    answers: list[Any] = store.functions.call("jobs/several", *flat)
    return answers


def claims_of(store: Store, ids: Sequence[str]) -> list[Callable[[], Any]]:
    return [partial(store.attempts.claim, id_, 30) for id_ in ids]


def group_of(store: Store | DeliveryStore) -> Any:
    of_calls = store.attempts if isinstance(store, Store) else store
    return of_calls._grouped._group  # noqa: SLF001 - to know when the threads wait


@contextmanager
def silent_redis(store: Store) -> Iterator[None]:
    """Let Redis answer no function."""
    store.redis.client_pause(30_000, all=False)
    try:
        yield
    finally:
        store.redis.client_unpause()


def begin_together(
    store: Store | DeliveryStore, threads: ThreadPoolExecutor, calls: Sequence[Callable[[], Any]]
) -> list[Future[Any]]:
    """Begin the first call, and the others while it is under way."""
    group = group_of(store)
    first = threads.submit(calls[0])
    wait_until(lambda: group._senders == 1)  # noqa: SLF001
    others = []
    for number, call in enumerate(calls[1:], start=1):
        group._sent_at += 60  # noqa: SLF001 - as if it had been just now
        others.append(threads.submit(call))
        wait_until(lambda number=number: len(group._waiting) == number)  # type: ignore[misc]  # noqa: SLF001
    return [first, *others]


def functions_called(store: Store) -> int:
    return int(store.redis.info("commandstats")["cmdstat_fcall"]["calls"])


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def test_what_comes_while_a_call_is_under_way_goes_together_and_each_has_its_own_answer(
    store: Store, threads: ThreadPoolExecutor
) -> None:
    ids = [submit(store) for _ in range(6)]
    done = claim(store, ids[-1])
    before = functions_called(store)
    end = partial(store.attempts.record_outcome, done, Event.SUCCEED, patch={}, signal="answer")
    with silent_redis(store):
        under_way = begin_together(store, threads, [*claims_of(store, [*ids[:5], "unknown"]), end])
    *claimed, unknown, answer = [future.result(10) for future in under_way]
    assert [one.job.id for one in claimed] == ids[:5]
    assert len({one.answered_at for one in claimed[1:]}) == 1, "their answers were here at the same moment"
    assert unknown.reason == "gone"
    assert answer == "ok"
    assert store.jobs.get(done.job.id).fields["state"] == "succeeded"
    assert functions_called(store) - before == 2
    assert store.metrics.read().counts["jobs"] == {("roop", "succeeded", "-"): 1}


def test_an_error_is_its_own_callers_alone(store: Store, threads: ThreadPoolExecutor) -> None:
    ids = [submit(store) for _ in range(5)]
    store.redis.delete(keys.job(ids[2]))
    store.redis.rpush(keys.job(ids[2]), "no record")
    with silent_redis(store):
        under_way = begin_together(store, threads, claims_of(store, ids))
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        under_way.pop(2).result(10)
    claimed = [future.result(10) for future in under_way]
    assert [one.job.id for one in claimed] == [*ids[:2], *ids[3:]]
    assert {store.jobs.get(one.job.id).fields["state"] for one in claimed} == {"running"}
    for one in claimed:
        assert store.attempts.record_outcome(one, Event.SUCCEED, patch={}, signal="answer") == "ok"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_of_one_that_fails_late_nothing_is_counted_and_no_record_is_written(store: Store, place: int) -> None:
    ids = [submit(store, business_task_id=name) for name in "abc"]
    assert len({id_[:2] for id_ in ids}) == 3
    claims = [claim(store, id_) for id_ in ids]
    store.redis.set(keys.tombstones(ids[place][:2]), "no hash")
    answers = several(store, [outcome(one) for one in claims])
    assert isinstance(answers.pop(place), redis.ResponseError)
    assert answers == ["ok", "ok"]
    store.redis.delete(keys.tombstones(ids[place][:2]))
    assert [store.jobs.get(id_).fields["state"] for id_ in ids[:place] + ids[place + 1 :]] == ["succeeded"] * 2
    assert store.jobs.get(ids[place]).fields["state"] == "running"
    assert sum(store.metrics.read().counts["jobs"].values()) == 2


def with_webhooks(store: Store, number: int) -> list[str]:
    """End so many jobs whose webhooks go to one host, and return the ids whose messages are out."""
    for _ in range(number):
        done = claim(store, submit(store, callback_url="https://one.example/in"))
        store.attempts.record_outcome(done, Event.SUCCEED, patch={}, signal="answer")
    return [job_of(text) for text in reversed(store.redis.lrange(keys.READY[keys.WEBHOOKS], 0, -1))]


def test_deliveries_go_together_and_the_ready_queue_is_filled_once_for_all(
    store: Store, threads: ThreadPoolExecutor
) -> None:
    ids = with_webhooks(store, 9)
    assert len(ids) == 4, "as many as a host may have at first"
    store.redis.config_resetstat()
    with silent_redis(store):
        under_way = begin_together(
            store.deliveries, threads, [partial(store.deliveries.claim, id_, 30) for id_ in [*ids, "unknown"]]
        )
    *claims, unknown = [future.result(10) for future in under_way]
    assert [one.id for one in claims if one] == ids
    assert unknown is None
    settle = partial(store.deliveries.settle, status=200, entry=record.entry("webhook"))
    with silent_redis(store):
        under_way = begin_together(store.deliveries, threads, [partial(settle, one, "delivered") for one in claims])
    assert [future.result(10) for future in under_way] == ["ok"] * 4
    stats = store.redis.info("commandstats")
    assert [stats[f"cmdstat_{name}"]["calls"] for name in ("fcall", "hmget", "zcard")] == [4, 4, 4]
    assert store.redis.hmget(keys.host("one.example"), "in_flight", "messages", "tries") == ["0", "5", "8"]
    assert store.redis.zcard(keys.published(keys.WEBHOOKS)) == 5


def test_a_delivery_that_fails_in_a_group_does_so_alone(store: Store) -> None:
    ids = with_webhooks(store, 3)
    store.redis.delete(keys.job(ids[1]))
    store.redis.rpush(keys.job(ids[1]), "no record")
    answers = several(store, [("deliveries/claim", [id_, LEASE_MS]) for id_ in ids])
    assert isinstance(answers.pop(1), redis.ResponseError)
    assert [answer[0] for answer in answers] == ["go", "go"]
    assert store.redis.hmget(keys.host("one.example"), "in_flight", "messages") == ["2", "1"]


def test_an_error_of_lua_itself_is_told_as_one(store: Store) -> None:
    id_ = submit(store)
    answers = several(store, [("jobs/record_outcome", [id_, 1, "no such event"]), ("jobs/claim", [id_, LEASE_MS])])
    assert isinstance(answers[0], redis.ResponseError)
    assert answers[1][0] == "go"


def test_a_lost_connection_is_told_to_all_and_the_next_call_finds_another(
    store: Store, threads: ThreadPoolExecutor
) -> None:
    ids = [submit(store) for _ in range(4)]
    with silent_redis(store):
        under_way = begin_together(store, threads, claims_of(store, ids))
        store.redis.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(redis.ConnectionError):
            under_way[0].result(10)
        wait_until(lambda: not group_of(store)._waiting)  # noqa: SLF001 - the others are under way now
        wait_until(lambda: [one for one in store.redis.client_list(_type="normal") if one["cmd"] == "fcall"])
        store.redis.client_kill_filter(_type="normal", skipme=True)
        errors = [future.exception(10) for future in under_way[1:]]
    assert [type(error) for error in errors] == [redis.ConnectionError] * 3
    assert len(set(map(id, errors))) == 3, "what Python notes in an error is for one thread alone"
    assert claim(store, ids[0])


class Interrupted:
    """Functions whose caller is interrupted in the middle of the first call."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.calls: list[str] = []
        self.go_on = Signal()

    def call(self, name: str, *args: str | float) -> Any:
        self.calls.append(name)
        assert self.go_on.wait(10)
        if len(self.calls) in {1, 2}:
            raise KeyboardInterrupt
        return self._functions.call(name, *args)


def test_who_sends_and_is_interrupted_leaves_nobody_waiting(store: Store, threads: ThreadPoolExecutor) -> None:
    ids = [submit(store) for _ in range(4)]
    interrupted: Any = Interrupted(store.functions)
    store.attempts._grouped = GroupedCalls(interrupted)  # noqa: SLF001
    under_way = begin_together(store, threads, claims_of(store, ids))
    interrupted.go_on.set()
    errors = [future.exception(10) for future in under_way]
    kinds = [KeyboardInterrupt, KeyboardInterrupt, redis.ConnectionError, redis.ConnectionError]
    assert [type(error) for error in errors] == kinds, "the first alone, the second with the other two"
    assert interrupted.calls == ["jobs/claim", "jobs/several"]
    assert claim(store, ids[0]), "the next one sends"


def test_who_waits_and_is_interrupted_is_not_waited_for(
    store: Store, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [submit(store) for _ in range(2)]
    group = group_of(store)
    with silent_redis(store):
        first = threads.submit(store.attempts.claim, ids[0], 30)
        wait_until(lambda: group._senders == 1)  # noqa: SLF001
        monkeypatch.setattr("swapjobs.store.grouped_calls.Lock", InterruptedLock)
        group._sent_at += 60  # noqa: SLF001
        with pytest.raises(KeyboardInterrupt):
            store.attempts.claim(ids[1], 30)
        monkeypatch.undo()
    assert isinstance(first.result(10), Claim)
    assert isinstance(store.attempts.claim(ids[1], 30), Claim)


class InterruptedLock:
    """A lock at which whoever waits is interrupted."""

    def __init__(self) -> None:
        self._is_held = False

    def acquire(self) -> None:
        if self._is_held:
            raise KeyboardInterrupt
        self._is_held = True


def test_a_forked_process_waits_for_nobody_of_the_other(store: Store, threads: ThreadPoolExecutor) -> None:
    id_ = submit(store)
    group = group_of(store)
    group._senders, group._sent_at = 1, float("inf")  # noqa: SLF001 - a thread that the child does not have
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            os._exit(0 if isinstance(store.attempts.claim(id_, 30), Claim) else 1)
        finally:
            os._exit(2)
    assert threads.submit(os.waitpid, child, 0).result(10) == (child, 0)


def test_redis_that_is_silent_for_one_call_does_not_hold_up_those_that_come_later(
    store: Store, threads: ThreadPoolExecutor
) -> None:
    ids = [submit(store) for _ in range(3)]
    with silent_redis(store):
        under_way = [threads.submit(store.attempts.claim, ids[0], 30)]
        wait_until(lambda: group_of(store)._senders == 1)  # noqa: SLF001
        group_of(store)._sent_at -= 60  # noqa: SLF001
        under_way.append(threads.submit(store.attempts.claim, ids[1], 30))
        wait_until(lambda: group_of(store)._senders == 2)  # noqa: SLF001
    assert [type(future.result(10)) for future in under_way] == [Claim, Claim]
    assert claim(store, ids[2])
    assert group_of(store)._senders == 0  # noqa: SLF001


def test_a_full_redis_without_the_library_takes_several_at_once(store: Store, settings: WorkerSettings) -> None:
    ids = [submit(store) for _ in range(3)]
    store.redis.function_flush()
    store.redis.config_set("maxmemory", 1)
    try:
        worker = Store(connect(settings), settings)
        answers = several(worker, [("jobs/claim", [id_, LEASE_MS]) for id_ in ids])
        assert [answer[0] for answer in answers] == ["go"] * 3
        claims = [
            Claim(worker.jobs.get(id_), answer[2], "swap", 0, 0) for id_, answer in zip(ids, answers, strict=True)
        ]
        assert several(worker, [outcome(one) for one in claims]) == ["ok"] * 3
        assert not store.redis.function_list()
    finally:
        store.redis.config_set("maxmemory", 0)


def outcome(claimed: Claim, event: Event = Event.SUCCEED, wake: str = "", says: str = "answer") -> Operation:
    made = f"roop swap {'answered' if says == 'answer' else 'failed'}"
    args = [claimed.job.id, claimed.fence, event, record.entry("attempt"), wake, 3000, 0, says, claimed.now_ms]
    return "jobs/record_outcome", [*args, "query", made, 12, "attempts", 1]


WEATHERS: dict[str, dict[str, float]] = {
    "fine": {},
    "few in flight": {"max_in_flight": 5, "bulk_share": 0.5},
    "a share of the rate": {"bulk_share": 0.3, "rate_factor": 0.4, "rate_reason": 1},
    "a higher rate is tried": {"rate_factor": 0.2, "phase": fleet_state.PHASES.index("more"), "tried": 0.9},
    "after an outage": {"ramp": 5000},
    "an outage": {"tripped": 1, "probe_gap": 100, "probe_most": 1000},
}
OUTCOMES = (
    (Event.SUCCEED, "", "answer"),
    (Event.WAIT, "retry", "too_fast"),
    (Event.SUCCEED, "", "answer"),
    (Event.WAIT, "poll", "answer"),
    (Event.FAIL, "", "answer"),
    (Event.WAIT, "retry", "failure"),
    (Event.WAIT, "", ""),
    (Event.WAIT, "retry", "outage"),
)


def lives(url: str, weather: str, run: Callable[[Store, Sequence[Operation]], list[Any]]) -> tuple[list[Any], Any]:
    """Run the same claims and outcomes, and return their answers and all that lies in Redis then."""
    settings = WorkerSettings(redis_url=url, rate_limit=Rate("20/s"), rate_burst=3)
    client, seen = connect(settings), []
    client.flushall()
    clock = FakeClock(client)
    store = Store(client, settings, redis_time=REDIS_TIME)
    store.dispatch.set_limits(settings)
    store.tenants.set(TenantLimits(tenant="small", rate=Rate("10/s"), max_in_flight=3))
    for number in range(80):
        lane, tenant = ("bulk", "interactive")[number % 3 == 0], ("default", "small", "other")[number % 5 % 3]
        urls = {"source_url": f"https://pictures.example/{number}.jpg", "target_url": "https://pictures.example/t.jpg"}
        submit(store, priority=lane, tenant=tenant, business_task_id=f"job-{number}", **urls)
    now_ms = clock.now_s * 1000
    poke(client, phase_from=now_ms, tried_until=now_ms + 150, reset_at=now_ms - 1000, **WEATHERS[weather])
    under_way: list[Claim] = []
    for turn in range(12):
        ids = [
            job_of(text) for lane in (keys.INTERACTIVE, keys.BULK) for text in client.lrange(keys.READY[lane], -7, -1)
        ]
        for lane in (keys.INTERACTIVE, keys.BULK):
            client.ltrim(keys.READY[lane], 0, -8)
        claims: list[Operation] = [("jobs/claim", [id_, LEASE_MS]) for id_ in [*ids, *ids[:1]]]
        operations = [*claims, *ended(under_way, turn)]
        operations = [*operations[turn:], *operations[:turn]]
        answers = run(store, operations)
        seen.append(answers)
        under_way = [
            Claim(store.jobs.get(str(args[0])), answer[2], "swap", float(answer[1]), answer[4])
            for (_, args), answer in zip(operations, answers, strict=True)
            if answer[0] == "go"
        ]
        clock.move(0.13 * (turn % 4))
        store.dispatch.dispatch_due("a", 30, stayed=True)
    client.close()
    with redis.Redis.from_url(url) as raw:
        return seen, {name: read_key(raw, name) for name in raw.scan_iter()}


def ended(claims: Sequence[Claim], turn: int) -> list[Operation]:
    return [outcome(one, *OUTCOMES[(turn + number) % len(OUTCOMES)]) for number, one in enumerate(claims)]


def read_key(raw: Any, name: bytes) -> Any:
    reads = {
        b"string": raw.get,
        b"hash": raw.hgetall,
        b"set": raw.smembers,
        b"list": lambda name: raw.lrange(name, 0, -1),
        b"zset": lambda name: raw.zrange(name, 0, -1, withscores=True),
        b"stream": raw.xrange,
    }
    return reads[raw.type(name)](name)


@pytest.mark.parametrize("weather", WEATHERS)
def test_several_at_once_come_to_the_same_as_one_after_another(redis_url: str, weather: str) -> None:
    def singly(store: Store, operations: Sequence[Operation]) -> list[Any]:
        return [store.functions.call(name, *args) for name, args in operations]

    answers, content = lives(redis_url, weather, singly)
    assert len([1 for turn in answers for answer in turn if answer == "ok"]) > 3
    together, content_together = lives(redis_url, weather, several)
    assert together == answers
    assert content_together == content
