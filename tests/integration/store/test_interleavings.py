"""Random interleavings of everything that touches the records, against a plain model and rules that always hold.

The rules: an unfinished job is in exactly one place (a queue, the register of messages that are out, the schedule); so
is a pending delivery, a job's own or an endpoint's; the calls in flight, and the tries in flight at each host, are
counted rightly; whoever has a queue is served; what is final and delivered expires; final stays final but for a retry;
and in the end everything ends.

Then the same with batches that are paused, resumed, cancelled, retried and closed, and rules besides: what a batch
counts is what its records say; `batch.completed` is announced once in each round, when it is closed and all its jobs
are final; nothing of a stopped batch starts; lists show every job once. Steps are small, so that anything may come
between two of them.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydantic import SecretStr

from support import records
from support.announced import LISTENER, announced_in
from support.at_once import Command, all_of, ask
from support.builders import job_of, make_request
from support.fake_clock import REDIS_TIME, FakeClock
from support.job_model import Life
from swapjobs import FINAL, BatchNotFound, JobState
from swapjobs.client.webhooks import Webhooks
from swapjobs.contract.filters import JobQuery
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.tenant import TenantLimits
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys, record
from swapjobs.store import library as lua_library
from swapjobs.store.batches import batch_of
from swapjobs.store.claims import Claim, DeliveryClaim
from swapjobs.store.functions import Functions
from swapjobs.store.job_index import page
from swapjobs.store.library import library
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from swapjobs.contract.batch import Batch

pytestmark = pytest.mark.slow
EXPLORED = settings().max_examples if settings().max_examples > 100 else 0  # HYPOTHESIS_PROFILE=explore
TRY = record.entry("webhook", at=1, number=1, duration_ms=1)
SWAP_LANES = (keys.INTERACTIVE, keys.BULK)
LEASE_S = 30.0
MASTER = SecretStr("whsec_" + "A" * 43 + "=")
# Drawn whatever there is to pick from: what exists depends on the other draws, and the draws must not.
picks = st.integers(0, 999)
OUTCOMES = (
    (Event.SUCCEED, "", "answer"),
    (Event.FAIL, "", "answer"),
    (Event.WAIT, "", ""),
    (Event.WAIT, "poll", "answer"),
    (Event.WAIT, "retry", "too_fast"),
    (Event.WAIT, "retry", "failure"),
    (Event.WAIT, "retry", "outage"),
    (Event.WAIT, "final_failure", "outage"),
    (Event.WAIT, "retry", "credentials_rejected"),
)

BATCHES = ("x", "y")
ALL_BATCHES = [(tenant, name) for tenant in "ab" for name in BATCHES]
FOR_EVER, NOT_THERE = -1, -2  # what TTL answers
HOSTS = ("one.example", "two.example", "three.example")
HELD = keys.held("*", "*").partition("*")[0]
SMALL = {
    "operations/batch_operation": (
        "LOOKED_AT, CANCELLED, RETRIED, RESTORED = 200, 50, 25, 100",
        "LOOKED_AT, CANCELLED, RETRIED, RESTORED = 3, 2, 1, 2",
    ),
    "queue/batch_hold": ("BUDGET = 250", "BUDGET = 2"),
}


def following(prefix: str, names: Iterable[str]) -> list[str]:
    """Return what follows the prefix in the names that begin with it."""
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


@lru_cache(10_000)  # most records are the same after a step
def parsed(text: str | None) -> Mapping[str, str]:
    """Return the fields of a record; none where there is no record."""
    return record.fields_of(text) if text else {}


class Fleet(RuleBasedStateMachine):
    """Producers, workers that die or come late, a canceller and a dispatcher, over the real scripts on a fake clock."""

    store: Store
    base: WorkerSettings

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = self.store.redis
        self.webhooks = Webhooks(self.store, self.base)
        self.lives: dict[str, Life] = {}
        self.ids: list[str] = []
        self.claims: list[Claim] = []
        self.deliveries: list[DeliveryClaim] = []
        self.endpoints: list[str] = []
        self.seen: set[str] = set()

    @initialize(
        cap=st.sampled_from([0, 2]), rate=st.sampled_from(["1000/s", "30/s"]), own=st.booleans(), limited=st.booleans()
    )
    def begin(self, cap: int, rate: str, own: bool, limited: bool) -> None:  # noqa: FBT001 - drawn by name
        self.redis.flushdb()
        self.clock = FakeClock(self.redis)
        query = Rate("20/s") if own else None
        limits = {"max_in_flight": cap, "rate_limit": Rate(rate), "query_rate_limit": query}
        limits["bulk_share"] = 0.5 if limited else 1
        self.store.dispatch.set_limits(self.base.model_copy(update=limits))
        self.limited = TenantLimits(tenant="b", rate=Rate("1/s"), max_in_flight=1) if limited else None
        if self.limited:
            self.store.tenants.set(self.limited)

    # -- producers

    @rule(
        tenant=st.sampled_from("ab"),
        priority=st.sampled_from(SWAP_LANES),
        host=st.sampled_from([None, "one", "two"]),
        expires_s=st.sampled_from([None, None, 20]),
    )
    def submit(self, tenant: str, priority: str, host: str | None, expires_s: int | None) -> None:
        expires_at = self.clock.now_s + expires_s if expires_s else None
        request = make_request(
            tenant=tenant,
            priority=priority,
            callback_url=f"https://{host}.example/in" if host else None,
            expires_at=datetime.fromtimestamp(expires_at, UTC) if expires_at else None,
        )
        id_ = str(self.store.jobs.submit([request, request])[0].id)
        self.ids.append(id_)
        self.lives[id_] = Life(expires_at=expires_at)

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if self.ids:
            id_ = self.ids[pick % len(self.ids)]
            self.lives[id_].cancelled(self.store.jobs.cancel(id_))

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        if self.ids:
            id_ = self.ids[pick % len(self.ids)]
            (answer,) = self.store.jobs.retry([id_])
            self.lives[id_].retried(answer, int(records.fields(self.redis, id_).get("claims", 0)))
            if answer == "ok" and "expires_at" not in records.fields(self.redis, id_):
                self.lives[id_].expires_at = None

    # -- workers

    def pop(self, *lanes: str) -> str | None:
        popped = next((message for lane in lanes if (message := self.redis.rpop(keys.READY[lane]))), None)
        return job_of(popped) if popped else None

    @rule(lost=st.sampled_from([False, False, False, True]))
    def claim(self, lost: bool) -> None:  # noqa: FBT001 - drawn by name
        id_ = self.pop(*SWAP_LANES)
        if id_ and not lost:
            self.take(id_)

    @rule(pick=picks)
    def claim_by_a_stray_message(self, pick: int) -> None:
        if self.ids:
            self.take(self.ids[pick % len(self.ids)])

    def take(self, id_: str) -> None:
        answer = self.store.attempts.claim(id_, LEASE_S)
        if isinstance(answer, Claim):
            self.lives[id_].claimed(answer.fence, self.clock.now_s + LEASE_S)
            self.claims.append(answer)
        else:
            self.lives[id_].refused(answer.reason)

    @rule()
    def a_worker_dies_and_another_takes_over(self) -> None:
        """Both results may still come, in any order."""
        self.claim(lost=False)
        self.time_passes(LEASE_S + 1)
        self.dispatch()
        self.claim(lost=False)

    @rule()
    def a_worker_that_stops_puts_a_message_back(self) -> None:
        id_ = self.pop(*SWAP_LANES)
        if id_:
            self.store.attempts.return_message(id_)

    @rule(pick=picks, outcome=st.sampled_from(OUTCOMES), pause=st.sampled_from([0, 0, 0, 0, 5]), again=st.booleans())
    def apply(self, pick: int, outcome: tuple[Event, Any, str], pause: int, again: bool) -> None:  # noqa: FBT001 - drawn by name
        if not self.claims:
            return
        claim = self.claims[pick % len(self.claims)]
        if not again:
            self.claims.remove(claim)
        event, wake, says = outcome
        answer = self.store.attempts.record_outcome(
            claim,
            event,
            patch={"next_call": "query", "attempts": 1},
            entry=record.entry("attempt"),
            schedule=wake,
            delay_s=3,
            pause_s=pause,
            signal=says,
        )
        self.lives[claim.job.id].applied(claim.fence, event, wake, answer)

    @rule()
    def five_calls_fail_at_once(self) -> None:
        """So that the breaker trips now and then."""
        for _ in range(5):
            self.submit("a", keys.INTERACTIVE, None, None)
            self.claim(lost=False)
        for _ in range(min(5, len(self.claims))):
            self.apply(999, (Event.WAIT, "retry", "outage"), 0, again=False)

    @rule()
    def renew(self) -> None:
        answers = self.store.attempts.renew_leases([(claim.job.id, claim.fence, LEASE_S) for claim in self.claims])
        for claim, renewed in zip(self.claims, answers, strict=True):
            life = self.lives[claim.job.id]
            assert renewed == (life.state is JobState.RUNNING and life.fence == claim.fence)
            if renewed:
                life.lease_until = self.clock.now_s + LEASE_S

    # -- deliveries

    @rule()
    def claim_delivery(self) -> None:
        id_ = self.pop(keys.WEBHOOKS)
        claim = self.store.deliveries.claim(id_, LEASE_S) if id_ else None
        if claim:
            self.deliveries.append(claim)

    @rule(host=st.sampled_from(["one", "two"]))
    def a_job_ends_and_its_delivery_outlives_its_lease(self, host: str) -> None:
        self.submit("a", keys.INTERACTIVE, host, None)
        self.claim(lost=False)
        if self.claims:
            self.apply(len(self.claims) - 1, OUTCOMES[0], 0, again=True)
        self.claim_delivery()
        self.time_passes(LEASE_S + 1)
        self.dispatch()

    @rule(
        pick=picks,
        state=st.sampled_from(["delivered", "undelivered", "pending"]),
        host=st.sampled_from(["up", "down", "down"]),
        gone=st.sampled_from(["", "", "", "gone"]),
    )
    def settle(self, pick: int, state: Any, host: Any, gone: str) -> None:
        if self.deliveries:
            claim = self.deliveries[pick % len(self.deliveries)]
            result = {"status": 200, "entry": TRY, "delay_s": 3, "host": host}
            self.store.deliveries.settle(claim, state, gone=gone if state == "undelivered" else "", **result)

    @rule(pick=picks, state=st.sampled_from(["delivered", "pending"]), host=st.sampled_from(["up", "down"]))
    def deliveries_go_together(self, pick: int, state: str, host: str) -> None:
        """Claims and tries in one call, each try as a worker tells it."""
        popped = [id_ for _ in range(3) if (id_ := self.pop(keys.WEBHOOKS))]
        tried = self.deliveries[pick % len(self.deliveries) :][:2] if self.deliveries else []
        operations: list[tuple[str, list[Any]]] = [("deliveries/claim", [id_, int(LEASE_S * 1000)]) for id_ in popped]
        operations += [
            ("deliveries/settle", [claim.id, claim.fence, state, 3000, 200, TRY, host, 5, ""]) for claim in tried
        ]
        flat = [item for name, args in operations for item in (name, len(args), *args)]
        answers = self.store.functions.call("jobs/several", *flat)
        for id_, (answer, *claimed) in zip(popped, answers, strict=False):
            if answer == "go":
                fence, now_ms, text, _, endpoint = claimed
                delivery = record.unpack(id_, text)
                self.deliveries.append(DeliveryClaim(delivery, None, record.pairs(endpoint), fence, now_ms))
        assert set(answers[len(popped) :]) <= {"ok", "too_late", "disabled", "fenced", "gone"}

    @rule()
    def a_host_fails_until_its_breaker_opens(self) -> None:
        for _ in range(6):
            self.submit("a", keys.INTERACTIVE, "one", None)
            self.claim(lost=False)
            if self.claims:
                self.apply(len(self.claims) - 1, OUTCOMES[0], 0, again=False)
            self.claim_delivery()
            self.settle(len(self.deliveries) - 1, "pending", "down", "")

    @rule(pick=picks)
    def hand_a_delivery_back(self, pick: int) -> None:
        if self.deliveries:
            self.store.deliveries.hand_back(self.deliveries[pick % len(self.deliveries)])

    # -- endpoints

    @rule(
        tenant=st.sampled_from("ab"),
        host=st.sampled_from(["one", "three"]),
        events=st.sampled_from([(), ("swap.succeeded",), ("swap.failed", "swap.cancelled")]),
    )
    def add_an_endpoint(self, tenant: str, host: str, events: tuple[str, ...]) -> None:
        if len(self.endpoints) < 4:
            url = f"https://{host}.example/endpoint"
            self.endpoints.append(self.webhooks.add(url, tenant=tenant, events=events).id)

    @rule(pick=picks, change=st.sampled_from(["disable", "enable", "move", "remove", "test"]))
    def change_an_endpoint(self, pick: int, change: str) -> None:
        if not self.endpoints:
            return
        id_ = self.endpoints[pick % len(self.endpoints)]
        tenant = self.redis.hget(keys.endpoint(id_), "tenant")
        if change == "remove":
            self.webhooks.remove(id_, tenant=tenant)
            self.endpoints.remove(id_)
        elif change == "test":
            self.webhooks.test(id_, tenant=tenant)
        elif change == "move":
            self.webhooks.update(id_, tenant=tenant, url="https://two.example/endpoint")
        else:
            self.webhooks.update(id_, tenant=tenant, enabled=change == "enable")

    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        known = sorted(self.seen)
        if known:
            id_ = known[pick % len(known)]
            fields = records.fields(self.redis, id_)
            self.store.deliveries.replay(id_, fields.get("tenant", "a"))

    # -- what happens by itself, or to Redis

    @rule(seconds=st.sampled_from([0.01, 1, 4, 40]))
    def time_passes(self, seconds: float) -> None:
        self.clock.move(seconds)

    @rule(hours=st.sampled_from([-1, 1]))
    def the_clock_jumps(self, hours: int) -> None:
        self.dispatch()
        self.clock.move(hours * 3600)
        for life in self.lives.values():
            life.lease_until += min(hours, 0) * 3600

    @rule()
    def dispatch(self) -> None:
        self.store.dispatch.dispatch_due("dispatcher", LEASE_S, stayed=True)
        for id_, fields in self.job_fields().items():
            self.lives[id_].seen(JobState(fields["state"]), self.clock.now_s)

    @rule(lane=st.sampled_from(keys.LANES))
    def lose_a_ready_queue(self, lane: str) -> None:
        self.redis.delete(keys.READY[lane])

    @rule(closed=st.booleans())
    def pause_or_resume_dispatch_by_hand(self, closed: bool) -> None:  # noqa: FBT001 - drawn by name
        self.store.dispatch.pause() if closed else self.store.dispatch.resume()

    @rule(paused=st.booleans())
    def pause_or_resume_a_tenant(self, paused: bool) -> None:  # noqa: FBT001 - drawn by name
        if self.limited:
            self.store.tenants.set(self.limited.model_copy(update={"paused": paused}))

    @rule()
    def another_server_takes_over(self) -> None:
        self.redis.set(keys.server(), "of the server before")
        Functions(self.redis, library(REDIS_TIME), 600).call("dispatcher/check_server")

    # -- the rules

    def look(self) -> None:
        """Ask Redis for all that the rules are about, in two round trips and one for the numbers."""
        names: list[str] = self.redis.keys()
        self.queues = {lane: following(keys.queue(lane, ""), names) for lane in keys.LANES}
        self.held = [name for name in names if name.startswith(HELD)]
        self.others = following(keys.delivery(""), names)
        self.told = following(keys.undelivered(""), names)
        self.answers = ask(self.redis, self.questions())
        numbers = record.pairs(self.store.functions.call("fleet/inspect")[1])
        self.numbers = {name: float(value) for name, value in numbers.items()}

    def questions(self) -> Iterator[Command]:
        for lane, owners in self.queues.items():
            yield "SMEMBERS", keys.blocked(lane)
            for key in (keys.fair(lane), keys.published(lane), *(keys.queue(lane, owner) for owner in owners)):
                yield all_of(key)
        for key in (keys.schedule(), *self.held):
            yield all_of(key)
        for id_ in self.lives:
            yield "TTL", keys.job(id_)
            yield "HEXISTS", *keys.tombstone(id_)
            yield "SCARD", keys.job_deliveries(id_)
        for id_ in self.others:
            yield "TTL", keys.delivery(id_)
        for id_ in (*self.lives, *self.others):
            yield "GET", record.key_of(id_)
        for id_ in self.told:
            yield "SCARD", keys.undelivered(id_)
        for key in (*(keys.host(host) for host in HOSTS), keys.tenant("b")):
            yield "HMGET", key, "in_flight", "messages"

    @invariant()
    def the_rules_hold(self) -> None:
        self.look()
        standing: dict[str, list[str]] = {}
        for lane in keys.LANES:
            queues = {owner: self.answers[all_of(keys.queue(lane, owner))] for owner in self.queues[lane]}
            served, blocked = (
                set(self.answers[all_of(keys.fair(lane))]),
                set(self.answers["SMEMBERS", keys.blocked(lane)]),
            )
            assert set(queues) <= served | blocked, "a queue that nobody serves"
            assert not served & blocked
            assert blocked <= set(queues), "blocked for ever, without a queue"
            kind = "webhook" if lane == keys.WEBHOOKS else "swap"
            for id_ in [*(id_ for queue in queues.values() for id_ in queue), *self.published(lane)]:
                standing.setdefault(f"{kind}:{id_}", []).append(lane)
        for member in self.answers[all_of(keys.schedule())]:
            what, _, id_ = member.partition(":")
            if what not in {"expiry", "tenant", "prune", "batch", "forget_batch", "host", "give_up"}:
                kind = "webhook" if what == "delivery" else "swap"
                standing.setdefault(f"{kind}:{id_}", []).append(what)
        for key in self.held:
            for id_ in self.answers[all_of(key)]:
                standing.setdefault(f"swap:{id_}", []).append("held")
        self.look_at_deliveries({id_[8:]: places for id_, places in standing.items() if id_.startswith("webhook:")})
        fields = {id_: self.fields(id_) for id_ in self.lives}
        for id_ in self.lives:
            expires = self.answers["TTL", keys.job(id_)] > 0
            self.check(id_, fields[id_], expires, standing.get(f"swap:{id_}", []))
            assert self.answers["HEXISTS", *keys.tombstone(id_)] or self.lives[id_].state not in FINAL
        self.the_counts_are_right(fields, [id_ for id_ in self.lives if "lease" in standing.get(f"swap:{id_}", [])])

    def published(self, lane: str) -> list[str]:
        """Return what is in a lane's register of the messages that are out."""
        result: list[str] = self.answers[all_of(keys.published(lane))]
        return result

    def fields(self, id_: str) -> Mapping[str, str]:
        """Return the fields of a record that was looked at."""
        return parsed(self.answers["GET", record.key_of(id_)])

    def job_fields(self) -> dict[str, Mapping[str, str]]:
        """Return the fields of every job's record, as they are now."""
        texts = self.redis.mget([record.key_of(id_) for id_ in self.lives]) if self.lives else ()
        return {id_: parsed(text) for id_, text in zip(self.lives, texts, strict=True)}

    def look_at_deliveries(self, standing: dict[str, list[str]]) -> None:
        hooks = {id_: self.fields(id_) for id_ in (*self.lives, *self.others)}
        self.seen.update(id_ for id_, fields in hooks.items() if "delivery_state" in fields)
        self.pending = {id_: fields for id_, fields in hooks.items() if fields.get("delivery_state") == "pending"}
        assert {id_: len(places) for id_, places in standing.items()} == dict.fromkeys(self.pending, 1), standing
        assert self.numbers["deliveries_pending"] == len(self.pending)
        hinted_ids = set(self.published(keys.WEBHOOKS))
        trying: Counter[str] = Counter()
        hinted, of_endpoint, telling = trying.copy(), trying.copy(), trying.copy()
        for id_, fields in self.pending.items():
            trying[fields["delivery_host"]] += standing[id_] == ["delivery"] and "delivery_next_at" not in fields
            hinted[fields["delivery_host"]] += id_ in hinted_ids
            of_endpoint[fields.get("endpoint", "")] += 1
            telling[fields.get("job", "")] += 1
        for host in HOSTS:
            counted = [int(number or 0) for number in self.answers["HMGET", keys.host(host), "in_flight", "messages"]]
            assert counted == [trying[host], hinted[host]], host
        for endpoint in {*self.endpoints, *of_endpoint} - {""}:
            size = self.answers["SCARD", keys.undelivered(endpoint)] if endpoint in self.told else 0
            assert size == of_endpoint[endpoint]
        for id_ in self.lives:
            assert self.answers["SCARD", keys.job_deliveries(id_)] == telling[id_]
        for id_ in self.others:
            assert (self.answers["TTL", keys.delivery(id_)] > 0) == (id_ not in self.pending)
        self.telling = telling

    def the_counts_are_right(self, fields: Mapping[str, Mapping[str, str]], calling: list[str]) -> None:
        assert self.numbers["in_flight"] == len(calling)
        assert self.numbers["bulk_in_flight"] == sum(fields[id_]["priority"] == keys.BULK for id_ in calling)
        if self.limited:
            hinted = [id_ for lane in SWAP_LANES for id_ in self.published(lane)]
            expected = [sum(fields[id_]["tenant"] == "b" for id_ in ids) for ids in (calling, hinted)]
            counted = self.answers["HMGET", keys.tenant("b"), "in_flight", "messages"]
            assert [int(number) for number in counted] == expected

    def check(self, id_: str, fields: Mapping[str, str], expires: bool, swap: list[str]) -> None:  # noqa: FBT001 - as read
        life = self.lives[id_]
        life.seen(JobState(fields["state"]), self.clock.now_s)
        assert int(fields.get("claims", 0)) == life.fence
        pending = id_ in self.pending or self.telling[id_] > 0
        stopped = life.state in {JobState.CANCELLED, JobState.EXPIRED}  # perhaps while its call was under way
        assert len(swap) == (life.state not in FINAL) or (stopped and swap == ["lease"]), (id_, life, swap)
        assert stopped or (life.state is JobState.RUNNING) == (swap == ["lease"]), (life, swap)
        assert expires == (life.state in FINAL and not pending)

    def teardown(self) -> None:
        """Let everything run to its end: nothing is stuck."""
        self.look()
        assert self.store.dispatch.inspect().numbers == self.numbers
        self.store.dispatch.resume()
        self.claims.clear()
        if self.limited:
            self.store.tenants.set(self.limited)
        for _ in range(150 + len(self.lives)):  # with a cap, two or so end in each round
            if self.drained():
                return
        raise AssertionError("not every job is final and every webhook delivered")

    def drained(self) -> bool:
        self.time_passes(4)
        self.dispatch()
        while id_ := self.pop(*SWAP_LANES):
            self.take(id_)
        while self.claims:
            self.apply(0, OUTCOMES[0], 0, again=False)
        while id_ := self.pop(keys.WEBHOOKS):
            delivery = self.store.deliveries.claim(id_, LEASE_S)
            if delivery:
                self.store.deliveries.settle(delivery, "delivered", status=200, entry=TRY)
        self.the_rules_hold()
        return all(life.state in FINAL for life in self.lives.values()) and not self.pending


def test_whatever_happens_in_whatever_order_the_rules_hold(redis_url: str) -> None:
    base = WorkerSettings(redis_url=redis_url, result_ttl_s=600, webhook_master_secret=MASTER)
    client = connect(base)
    machine = type("Machine", (Fleet,), {"store": Store(client, base, redis_time=REDIS_TIME), "base": base})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(30, EXPLORED),
            stateful_step_count=60,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()


class Batched(Fleet):
    """The same fleet, whose users use batches."""

    @rule(
        tenant=st.sampled_from("ab"),
        priority=st.sampled_from(SWAP_LANES),
        host=st.sampled_from([None, "one"]),
        expires_s=st.sampled_from([None, None, 20]),
        batch=st.sampled_from([None, *BATCHES]),
    )
    def submit(
        self, tenant: str, priority: str, host: str | None, expires_s: int | None, batch: str | None = "x"
    ) -> None:
        expires_at = self.clock.now_s + expires_s if expires_s else None
        if batch is not None:
            self.store.batches.open(tenant, batch, LISTENER)
        closed = batch is not None and (result := self.batch(tenant, batch)) is not None and result.state != "open"
        request = make_request(
            tenant=tenant,
            priority=priority,
            callback_url=f"https://{host}.example/in" if host else None,
            expires_at=datetime.fromtimestamp(expires_at, UTC) if expires_at else None,
            batch_id=batch,
        )
        first, second = self.store.jobs.submit([request, request])
        assert (first.outcome, second.outcome) == (("invalid", "invalid") if closed else ("created", "existing"))
        if first.id:
            self.ids.append(first.id)
            self.lives[first.id] = Life(expires_at=expires_at)

    @rule(
        tenant=st.sampled_from("ab"),
        batch=st.sampled_from(BATCHES),
        command=st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "retry", "close"]),
        code=st.sampled_from(["", "", "swap_failed", "expired"]),
    )
    def steer(self, tenant: str, batch: str, command: Any, code: str) -> None:
        try:
            self.store.batches.start_operation(tenant, batch, command, code if command == "retry" else "")
        except BatchNotFound:
            assert not self.batch(tenant, batch)

    @rule(command=st.sampled_from(["pause", "cancel"]), pick=picks)
    def a_batch_with_messages_out_is_stopped(self, command: str, pick: int) -> None:
        for _ in range(3):
            self.submit("a", keys.INTERACTIVE, None, None, "x")
        self.steer("a", "x", command, "")
        for _ in range(3):
            self.claim(lost=False)
        aside = self.redis.zrange(keys.held("a", "x"), 0, -1)
        if aside:
            id_ = aside[pick % len(aside)]
            self.lives[id_].cancelled(self.store.jobs.cancel(id_))

    @rule(tenant=st.sampled_from("ab"), batch=st.sampled_from(BATCHES))
    def step(self, tenant: str, batch: str) -> None:
        self.store.batches.continue_operation(tenant, batch)
        self.take_in()

    @rule()
    def dispatch(self) -> None:
        self.store.dispatch.dispatch_due("dispatcher", 30.0, stayed=True)
        self.take_in()

    @rule(tenant=st.sampled_from("ab"), batch=st.sampled_from(BATCHES), half=st.booleans())
    def cancel_or_retry_all(self, tenant: str, batch: str, half: bool) -> None:  # noqa: FBT001 - drawn by name
        """So that batches become complete, and are it no more, now and then."""
        for command in ("close", "cancel") if half else ("retry",):
            self.steer(tenant, batch, command, "")
        for _ in range(50):
            self.step(tenant, batch)

    def take_in(self) -> None:
        """Let the model know what was done to jobs of batches."""
        for id_, fields in self.job_fields().items():
            life, state = self.lives[id_], fields["state"]
            if "batch" in fields and state == JobState.CANCELLED != life.state:
                life.cancelled("ok")
            elif "batch" in fields and state == JobState.QUEUED and life.state in FINAL:
                life.retried("ok", int(fields.get("claims", 0)))
                if "expires_at" not in fields:
                    life.expires_at = None
            life.seen(JobState(state), self.clock.now_s)

    def take(self, id_: str) -> None:
        fields = records.fields(self.redis, id_)
        tenant, batch = fields.get("tenant", ""), fields.get("batch")
        stopped = batch and (result := self.batch(tenant, batch)) and (result.paused or result.operation == "cancel")
        before = len(self.claims)
        super().take(id_)
        assert len(self.claims) == before or not stopped, "a job of a stopped batch started"

    def apply(self, pick: int, outcome: tuple[Event, Any, str], pause: int, again: bool) -> None:  # noqa: FBT001 - as the rule
        claim = self.claims[pick % len(self.claims)] if self.claims else None
        if isinstance(claim, Claim) and outcome[0] is Event.FAIL:
            # what a worker's decision brings along
            records.set_fields(self.redis, claim.job.id, code="swap_failed")
        super().apply(pick, outcome, pause, again)

    def batch(self, tenant: str, batch: str) -> Batch | None:
        try:
            return batch_of(tenant, batch, self.store.batches.get(tenant, batch))
        except BatchNotFound:
            return None

    def questions(self) -> Iterator[Command]:
        yield from super().questions()
        yield "SMEMBERS", keys.held_batches()
        for tenant, name in ALL_BATCHES:
            yield "HGET", keys.batch(tenant, name), "operation"
            yield from (("TTL", key) for key in (keys.batch(tenant, name), keys.index(tenant, name)))

    @invariant()
    def the_rules_hold(self) -> None:
        super().the_rules_hold()
        self.batches_say_what_records_say()

    def batches_say_what_records_say(self) -> None:
        records = [self.fields(id_) for id_ in self.lives]
        announcements = announced_in({id_: self.answers["GET", record.key_of(id_)] for id_ in self.others})
        stopped = set()
        for tenant, name in ALL_BATCHES:
            of_it = [item for item in records if (item["tenant"], item.get("batch")) == (tenant, name)]
            batch = self.batch(tenant, name)
            if batch is None:
                assert not of_it
                continue
            self.one_batch(
                batch, of_it, [item for item in announcements if (item["tenant"], item["id"]) == (tenant, name)]
            )
            if batch.paused or self.answers["HGET", keys.batch(tenant, name), "operation"] == "cancel":
                stopped.add(f"{tenant}:{name}")
        assert set(self.answers["SMEMBERS", keys.held_batches()]) == stopped
        assert self.numbers["batches_held"] == len(stopped)

    def one_batch(self, batch: Batch, records: list[Mapping[str, str]], told: list[dict[str, str]]) -> None:
        states = Counter(item["state"] for item in records)
        assert {state: number for state, number in batch.counts.items() if number} == states
        codes = Counter(item.get("code", "internal") for item in records if item["state"] == JobState.FAILED)
        codes["expired"] += states[JobState.EXPIRED]
        assert {str(code): number for code, number in batch.errors.items()} == {c: n for c, n in codes.items() if n}
        rounds = [int(item["round"]) for item in told]
        done = batch.state == "completed"
        assert len(set(rounds)) == len(rounds), "announced twice in one round"
        # sorted: a clock that was put back gives a later one an earlier time
        assert sorted(rounds) == list(range(1, batch.round + done)), "a round was announced late, or never"
        left = any(JobState(state) not in FINAL for state in states)
        assert done == (batch.closed_at is not None and not left)
        for key in (keys.batch(batch.tenant, batch.id), keys.index(batch.tenant, batch.id)):
            ttl = self.answers["TTL", key]
            assert (ttl == FOR_EVER) == left or ttl == NOT_THERE, "kept as long as it is in use"

    @rule()
    def lists_show_every_job_once(self) -> None:
        records = self.job_fields()
        for tenant in "ab":
            for batch in (None, *BATCHES):
                result = [job.id for job in page(self.redis, JobQuery(tenant=tenant, batch_id=batch, limit=500)).jobs]
                expected = [
                    id_
                    for id_ in reversed(self.ids)
                    if records[id_]["tenant"] == tenant and batch in {None, records[id_].get("batch")}
                ]
                assert result == expected

    def teardown(self) -> None:
        """Let all go on: nothing was lost, and all batches become complete."""
        for tenant in "ab":
            for name in BATCHES:
                if self.batch(tenant, name):
                    self.store.batches.start_operation(tenant, name, "resume")
                    self.store.batches.start_operation(tenant, name, "close")
        super().teardown()
        for _ in range(100):
            self.time_passes(1)
            self.dispatch()
        self.drained()
        result = [self.batch(tenant, name) for tenant in "ab" for name in BATCHES]
        assert all(item.state == "completed" and item.operation is None for item in result if item)
        assert not list(self.redis.scan_iter(keys.held("*", "*"), count=1000))


def test_whatever_is_done_to_batches_in_whatever_order_the_rules_hold(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = lua_library._files  # noqa: SLF001 - steps of the real size would need thousands of jobs

    def in_small_steps(folder: Any, inside: str = "") -> Iterator[tuple[str, str]]:
        for name, text in files(folder, inside):
            usual, small = SMALL.get(name, ("", ""))
            assert usual in text or small in text  # subfolders come through here twice
            yield name, text.replace(usual, small) if usual else text

    monkeypatch.setattr(lua_library, "_files", in_small_steps)
    base = WorkerSettings(redis_url=redis_url, result_ttl_s=600, webhook_master_secret=MASTER)
    client = connect(base)
    store = Store(client, base, redis_time=f"{REDIS_TIME}-- in small steps\n")
    monkeypatch.undo()
    machine = type("Machine", (Batched,), {"store": store, "base": base})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(15, EXPLORED),
            stateful_step_count=60,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()
