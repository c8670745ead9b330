"""Random interleavings of everything that touches the records, against the rules that must hold after each step.

The rules: an unfinished job stands in exactly one place; so does a pending webhook; the calls in flight are counted
rightly; whoever has a line has a turn; what is final and delivered expires; every claim has a fence of its own; final
stays final; and in the end everything ends.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from factories import make_request, wait_until
from swapjobs import FINAL, JobState, keys, record
from swapjobs.lifecycle import Event
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import Claim, DeliveryClaim, JobStore, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

SWAP_LANES = (keys.INTERACTIVE, keys.BULK)
# Drawn whatever there is to pick from: what exists depends on real time, and the draws must not.
picks = st.integers(0, 999)
SOON = (0.0, 30.0)  # a lease that ends at once, and one that lasts


class Fleet(RuleBasedStateMachine):
    """Producers, workers that die or come late, a canceller and a dispatcher, over the real scripts."""

    store: JobStore
    base: WorkerSettings

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = self.store.redis
        self.ids: list[str] = []
        self.claims: list[Claim] = []
        self.deliveries: list[DeliveryClaim] = []
        self.ends: dict[str, str] = {}
        self.fences: dict[str, int] = {}

    @initialize(cap=st.sampled_from([0, 2]), rate=st.sampled_from(["1000/s", "30/s"]), own=st.booleans())
    def begin(self, cap: int, rate: str, own: bool) -> None:  # noqa: FBT001 - drawn by name
        self.redis.flushdb()
        query = Rate("20/s") if own else None
        limits = {"max_in_flight": cap, "rate_limit": Rate(rate), "query_rate_limit": query}
        self.store.set_limits(self.base.model_copy(update=limits))

    @rule(
        tenant=st.sampled_from("ab"),
        priority=st.sampled_from(SWAP_LANES),
        host=st.sampled_from([None, "one", "two"]),
        expires=st.booleans(),
    )
    def submit(self, tenant: str, priority: str, host: str | None, expires: bool) -> None:  # noqa: FBT001 - drawn by name
        request = make_request(
            tenant=tenant,
            priority=priority,
            callback_url=f"https://{host}.example/in" if host else None,
            expires_at=datetime.now(UTC) + timedelta(milliseconds=30) if expires else None,
        )
        self.ids.append(str(self.store.submit([request, request])[0].id))

    def pop(self, *lanes: str) -> str | None:
        popped = next((hint for lane in lanes if (hint := self.redis.rpop(keys.RUNWAYS[lane]))), None)
        return json.loads(popped)["properties"]["correlation_id"] if popped else None

    @rule(lease_s=st.sampled_from(SOON), lost=st.sampled_from([False, False, False, True]))
    def claim(self, lease_s: float, lost: bool) -> None:  # noqa: FBT001 - drawn by name
        id_ = self.pop(*SWAP_LANES)
        if id_ and not lost:
            self.take(self.store.claim(id_, lease_s))

    @rule()
    def a_worker_dies_and_another_takes_over(self) -> None:
        """Both results may still come, in any order."""
        self.claim(0.0, lost=False)
        self.dispatch(30.0)
        self.claim(30.0, lost=False)

    @rule(host=st.sampled_from(["one", "two"]))
    def a_job_ends_and_its_delivery_outlives_its_lease(self, host: str) -> None:
        self.submit("a", keys.INTERACTIVE, host, expires=False)
        self.claim(30.0, lost=False)
        if self.claims:
            self.store.apply(self.claims[-1], Event.SUCCEED, patch={})
        self.claim_delivery(0.0)
        self.dispatch(30.0)

    @rule(pick=picks)
    def claim_by_a_stray_hint(self, pick: int) -> None:
        if self.ids:
            self.take(self.store.claim(self.ids[pick % len(self.ids)], 30))

    def take(self, answer: Any) -> None:
        if isinstance(answer, Claim):
            assert answer.fence > self.fences.get(answer.job.id, 0), "every claim has a fence of its own"
            self.fences[answer.job.id] = answer.fence
            self.claims.append(answer)

    @rule(
        pick=picks,
        event=st.sampled_from([Event.SUCCEED, Event.FAIL, Event.WAIT, Event.WAIT]),
        wake=st.sampled_from(["", "retry", "poll"]),
        step=st.sampled_from(["send", "query"]),
        pause=st.sampled_from([0, 0, 0, 0, 0.01]),
        again=st.booleans(),
    )
    def apply(self, pick: int, event: Event, wake: Any, step: str, pause: float, again: bool) -> None:  # noqa: FBT001 - drawn by name
        if not self.claims:
            return
        claim = self.claims[pick % len(self.claims)]
        if not again:
            self.claims.remove(claim)
        before = self.redis.hget(keys.job(claim.job.id), "state")
        answer = self.store.apply(
            claim, event, patch={"step": step}, entry=record.entry("attempt"), wake=wake, delay_s=0, pause_s=pause
        )
        if claim.fence < self.fences[claim.job.id]:
            assert answer == "fenced"
        elif before in FINAL:
            assert answer in {before, "ok", "late"}

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if self.ids:
            self.store.cancel(self.ids[pick % len(self.ids)])

    @rule()
    def renew(self) -> None:
        self.store.renew([(claim.job.id, claim.fence, 30.0) for claim in self.claims])

    @rule(lease_s=st.sampled_from(SOON))
    def dispatch(self, lease_s: float) -> None:
        self.store.wake("dispatcher", lease_s)

    @rule(lane=st.sampled_from(keys.LANES))
    def lose_a_runway(self, lane: str) -> None:
        self.redis.delete(keys.RUNWAYS[lane])
        self.age_hints()

    @rule(lease_s=st.sampled_from(SOON))
    def claim_delivery(self, lease_s: float) -> None:
        id_ = self.pop(keys.WEBHOOKS)
        claim = self.store.claim_delivery(id_, lease_s) if id_ else None
        if claim:
            self.deliveries.append(claim)

    @rule(pick=picks, state=st.sampled_from(["delivered", "undelivered", "pending"]))
    def settle(self, pick: int, state: Any) -> None:
        if self.deliveries:
            claim = self.deliveries[pick % len(self.deliveries)]
            self.store.settle_delivery(claim, state, status=200, entry=record.entry("webhook"), delay_s=0)

    def age_hints(self) -> None:
        for lane in keys.LANES:
            for id_ in self.redis.zrange(keys.hints(lane), 0, -1):
                self.redis.zadd(keys.hints(lane), {id_: 1})

    def everybody_in(self, lane: str) -> Iterator[tuple[str, list[str]]]:
        prefix = keys.line(lane, "")
        for key in self.redis.scan_iter(f"{prefix}*", count=1000):
            yield key.removeprefix(prefix), self.redis.zrange(key, 0, -1)

    @invariant()
    def the_rules_hold(self) -> None:
        standing: dict[str, list[str]] = {}
        for lane in keys.LANES:
            lines = dict(self.everybody_in(lane))
            assert set(lines) == set(self.redis.zrange(keys.turns(lane), 0, -1)), (
                "a line without a turn, or the reverse"
            )
            kind = "webhook" if lane == keys.WEBHOOKS else "swap"
            for id_ in [*(id_ for line in lines.values() for id_ in line), *self.redis.zrange(keys.hints(lane), 0, -1)]:
                standing.setdefault(f"{kind}:{id_}", []).append(lane)
        for member in self.redis.zrange(keys.wake(), 0, -1):
            what, _, id_ = member.partition(":")
            if what != "expiry":
                kind = "webhook" if what == "delivery" else "swap"
                standing.setdefault(f"{kind}:{id_}", []).append(what)
        for id_ in self.ids:
            self.check(id_, standing.get(f"swap:{id_}", []), standing.get(f"webhook:{id_}", []))
        running = sum(self.redis.hget(keys.job(id_), "state") == JobState.RUNNING for id_ in self.ids)
        assert int(self.redis.hget(keys.traffic(), "in_flight") or 0) == running

    def check(self, id_: str, swap: list[str], webhook: list[str]) -> None:
        fields = self.redis.hgetall(keys.job(id_))
        state, pending = fields["state"], fields.get("hook") == "pending"
        assert self.ends.setdefault(id_, state) == state or self.ends[id_] not in FINAL, "final stays final"
        self.ends[id_] = state
        assert len(swap) == (state not in FINAL), (id_, state, swap)
        assert (state == JobState.RUNNING) == (swap == ["lease"]), (state, swap)
        assert len(webhook) == pending, (id_, webhook)
        if state in FINAL:
            expires = [self.redis.ttl(key) > 0 for key in (keys.job(id_), keys.history(id_), keys.tombstone(id_))]
            assert all(expires[:2]) != pending
            assert expires[2]

    def teardown(self) -> None:
        """Let everything run to its end: nothing is stuck."""
        wait_until(self.drained, deadline_s=20, what="every job final, every webhook delivered")

    def drained(self) -> bool:
        self.age_hints()
        self.redis.hset(keys.traffic(), "grace_until", 0)
        soon = time.time() * 1000 + 20
        for member, at in self.redis.zrange(keys.wake(), 0, -1, withscores=True):
            self.redis.zadd(keys.wake(), {member: min(at, soon)})
        self.store.wake("dispatcher", 0.01)
        while id_ := self.pop(*SWAP_LANES):
            claim = self.store.claim(id_, 30)
            if isinstance(claim, Claim):
                self.fences[id_] = claim.fence
                assert self.store.apply(claim, Event.SUCCEED, patch={}) == "ok"
        while id_ := self.pop(keys.WEBHOOKS):
            delivery = self.store.claim_delivery(id_, 30)
            if delivery:
                self.store.settle_delivery(delivery, "delivered", status=200, entry=record.entry("webhook"))
        self.the_rules_hold()
        return all(
            fields["state"] in FINAL and fields.get("hook") != "pending"
            for fields in (self.redis.hgetall(keys.job(id_)) for id_ in self.ids)
        )


def test_whatever_happens_in_whatever_order_the_rules_hold(redis_url: str) -> None:
    base = WorkerSettings(redis_url=redis_url, result_ttl_s=600)
    client = connect(base)
    machine = type("Machine", (Fleet,), {"store": JobStore(client, base), "base": base})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    client.close()
