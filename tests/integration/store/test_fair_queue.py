"""Who comes next: tenants in turn by weight, interactive before bulk, limits of single tenants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import job_of, make_request
from support.fake_clock import FakeClock, clocked_store
from swapjobs import InvalidRequest, SwapClient
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.tenant import TenantLimits
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys
from swapjobs.store.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.store import Store

LEASE_S = 60


@pytest.fixture
def store(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings.model_copy(update={"rate_limit": Rate("1000/s")})) as clocked:
        yield clocked


@pytest.fixture
def clock(store: Store) -> FakeClock:
    return FakeClock(store.redis)


def fill(store: Store, tenant: str, jobs: int, priority: str = "bulk") -> None:
    for start in range(0, jobs, 500):
        store.jobs.submit([make_request(tenant=tenant, priority=priority) for _ in range(min(500, jobs - start))])


def serve(store: Store, clock: FakeClock, calls: int, *, gap_s: float = 0.002) -> list[Claim]:
    """Do so many calls, one after another, as one worker does: the first message of the ready queues each time."""
    done: list[Claim] = []
    while len(done) < calls:
        clock.move(gap_s)
        message = store.redis.rpop(keys.READY["interactive"]) or store.redis.rpop(keys.READY["bulk"])
        if message is None:
            assert store.dispatch.dispatch_due("w", LEASE_S)[0] >= 0
            continue
        answer = store.attempts.claim(job_of(message), LEASE_S)
        if isinstance(answer, Claim):
            store.attempts.record_outcome(answer, Event.SUCCEED, patch={}, signal="answer")
            done.append(answer)
    return done


def tenants_of(claims: list[Claim]) -> Counter[str]:
    return Counter(claim.job.fields["tenant"] for claim in claims)


@pytest.mark.parametrize("others", [1, 1000])
def test_a_tenants_first_job_waits_for_nobodys_round(store: Store, clock: FakeClock, others: int) -> None:
    """Whether one tenant has a long line or a thousand have: only the messages that are out already go before it."""
    for number in range(others):
        fill(store, f"t{number}", 3000 // others)
    serve(store, clock, 50)
    out = store.redis.zcard(keys.published(keys.BULK))
    fill(store, "new", 1)
    served = [claim.job.fields["tenant"] for claim in serve(store, clock, out + 200)]
    assert served.index("new") <= out + 1


def test_who_comes_back_after_each_job_has_no_more_than_one_turn_in_a_round(store: Store, clock: FakeClock) -> None:
    """Else a tenant with one job at a time would always be new, and would pass the others for ever."""
    fill(store, "long", 2000)
    fill(store, "also-long", 2000)
    got: Counter[str] = Counter()
    for _ in range(150):
        if not store.redis.exists(keys.queue(keys.BULK, "trickle")):
            fill(store, "trickle", 1)
        got += tenants_of(serve(store, clock, 3, gap_s=0.5))
    assert got["long"] == pytest.approx(got["also-long"], abs=5)
    assert 0.5 * got["long"] <= got["trickle"] <= got["long"] + 5


def test_turns_are_given_by_weight(store: Store, clock: FakeClock, client: SwapClient) -> None:
    client.operator.set_tenant("gold", weight=3)
    for tenant in ("gold", "a", "b"):
        fill(store, tenant, 600)
    got = tenants_of(serve(store, clock, 500))
    assert got["gold"] == pytest.approx(300, abs=15)
    assert got["a"] == pytest.approx(got["b"], abs=3)


@pytest.mark.parametrize("heaviest", [1, 3])
def test_each_turn_is_that_of_who_stands_first(
    store: Store, clock: FakeClock, client: SwapClient, heaviest: int
) -> None:
    weights = {f"t{number}": 1 + number % heaviest for number in range(150)}
    for tenant, weight in weights.items():
        if weight > 1:
            client.operator.set_tenant(tenant, weight=weight)
    client.operator.pause()
    for _ in range(5):
        store.jobs.submit([make_request(tenant=tenant, priority="bulk") for tenant in weights])
    client.operator.resume()
    store.redis.config_resetstat()
    places, left = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 5)
    for claim in serve(store, clock, 5 * len(weights)):
        tenant = claim.job.fields["tenant"]
        assert places[tenant] <= min(place for other, place in places.items() if left[other]) + 1e-9
        places[tenant] += 1 / weights[tenant]
        left[tenant] -= 1
    looks = store.redis.info("commandstats")["cmdstat_zrange"]["calls"]
    assert heaviest > 1 or looks < len(weights), "one look serves many; where some have limits, each claim looks"


def test_interactive_jobs_pass_bulk_jobs(store: Store, clock: FakeClock) -> None:
    fill(store, "t", 5000)
    serve(store, clock, 20)
    fill(store, "t", 3, "interactive")
    assert [claim.job.fields["priority"] for claim in serve(store, clock, 3)] == ["interactive"] * 3


def test_a_paused_tenant_keeps_its_place_and_holds_nobody_up(
    store: Store, clock: FakeClock, client: SwapClient
) -> None:
    fill(store, "held", 500)
    fill(store, "free", 500)
    client.operator.set_tenant("held", paused=True)
    out = store.redis.zcard(keys.published(keys.BULK))
    before = tenants_of(serve(store, clock, 100, gap_s=0.5))
    assert before["held"] <= out, "only those whose message was out before"
    assert store.dispatch.status().queued["bulk"] == 900, "they are counted all the same"
    client.operator.set_tenant("held", paused=False)
    assert not any(item.paused for item in client.operator.tenants())
    after = tenants_of(serve(store, clock, 100, gap_s=0.5))
    assert after["held"] >= 40


def test_a_tenants_calls_in_flight_are_capped(store: Store, clock: FakeClock, client: SwapClient) -> None:
    client.operator.set_tenant("small", max_in_flight=2)
    fill(store, "small", 20, "interactive")
    calls: list[Claim] = []
    for _ in range(30):
        clock.move(0.1)
        store.dispatch.dispatch_due("w", LEASE_S)
        for id_ in store.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1):
            answer = store.attempts.claim(str(id_), LEASE_S)
            assert isinstance(answer, Claim), "no message is sent that leads to nothing"
            calls.append(answer)
        assert len(calls) == 2
    store.attempts.record_outcome(calls[0], Event.SUCCEED, patch={}, signal="answer")
    assert store.redis.zcard(keys.published(keys.INTERACTIVE)) == 1, "its place is taken at once"


def test_the_cap_comes_back_with_a_dead_workers_jobs(store: Store, clock: FakeClock, client: SwapClient) -> None:
    client.operator.set_tenant("small", max_in_flight=1)
    fill(store, "small", 2, "interactive")
    (id_,) = store.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1)
    assert isinstance(store.attempts.claim(str(id_), LEASE_S), Claim)
    for _ in range(5):
        clock.move(LEASE_S)
        store.dispatch.dispatch_due("w", LEASE_S)
    assert store.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1) == [id_], "the same job, whose turn it was"


@pytest.mark.parametrize("jump_s", [0, -3600, 3600])
def test_a_tenants_own_rate_is_used_and_holds(
    store: Store, clock: FakeClock, client: SwapClient, jump_s: float
) -> None:
    """Also where the clock jumps in the middle."""
    client.operator.set_tenant("slow", rate="5/s")
    fill(store, "slow", 300, "interactive")
    fill(store, "free", 5000, "interactive")
    got: Counter[str] = Counter()
    for step in range(1200):
        clock.move(0.01 + (jump_s if step == 200 else 0))
        store.dispatch.dispatch_due("w", LEASE_S)
        message = store.redis.rpop(keys.READY["interactive"])
        if message:
            answer = store.attempts.claim(job_of(message), LEASE_S)
            if isinstance(answer, Claim):
                got[answer.job.fields["tenant"]] += 1
                store.attempts.record_outcome(answer, Event.SUCCEED, patch={}, signal="answer")
    assert 0.9 * 60 <= got["slow"] <= 60 + 10
    assert got["free"] > 900


@pytest.mark.parametrize(("rate", "limit"), [("1/s", 12), ("5/s", 62), ("50/s", 610)])
def test_a_tenants_own_rate_holds_where_every_message_is_taken_at_once(
    store: Store, clock: FakeClock, client: SwapClient, rate: str, limit: int
) -> None:
    """In 10 s: so many, and those of two seconds that may be caught up."""
    client.operator.set_tenant("slow", rate=rate)
    fill(store, "slow", 1000, "interactive")
    got = 0
    for _ in range(1000):
        clock.move(0.01)
        store.dispatch.dispatch_due("w", LEASE_S)
        for id_ in store.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1):
            answer = store.attempts.claim(str(id_), LEASE_S)
            if isinstance(answer, Claim):
                got += 1
                store.attempts.record_outcome(answer, Event.SUCCEED, patch={}, signal="answer")
    assert 0.8 * limit <= got <= limit


def test_a_cap_that_is_set_while_calls_are_out_counts_them(store: Store, clock: FakeClock, client: SwapClient) -> None:
    """Too loud now, cap it: what is under way goes on, and nothing is begun until there are fewer."""
    fill(store, "loud", 40, "interactive")
    clock.move(1)
    calls = [
        store.attempts.claim(str(id_), LEASE_S) for id_ in store.redis.zrange(keys.published(keys.INTERACTIVE), 0, 5)
    ]
    client.operator.set_tenant("loud", max_in_flight=2)
    for left in range(len(calls) - 1, -1, -1):
        claimed = calls[left]
        assert isinstance(claimed, Claim)
        store.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, signal="answer")
        for id_ in store.redis.zrange(keys.published(keys.INTERACTIVE), 0, -1):
            store.attempts.claim(str(id_), LEASE_S)
        clock.move(0.1)
        store.dispatch.dispatch_due("w", LEASE_S)
        assert store.dispatch.status().in_flight <= max(left, 2)
    assert store.dispatch.status().in_flight == 2


def test_a_change_of_another_limit_gives_no_call_away(store: Store, clock: FakeClock, client: SwapClient) -> None:
    client.operator.set_tenant("t", rate="1/h")
    fill(store, "t", 10, "interactive")
    serve(store, clock, 2)
    client.operator.set_tenant("t", weight=2)
    clock.move(1)
    store.dispatch.dispatch_due("w", LEASE_S)
    assert not store.redis.zcard(keys.published(keys.INTERACTIVE))


def test_a_limit_that_was_hours_ahead_is_forgotten_when_it_is_raised(
    store: Store, clock: FakeClock, client: SwapClient
) -> None:
    client.operator.set_tenant("t", rate="1/h")
    fill(store, "t", 10, "interactive")
    serve(store, clock, 2)
    assert store.redis.smembers(keys.blocked(keys.INTERACTIVE)) == {"t"}
    client.operator.set_tenant("t", rate="100/s")
    assert len(serve(store, clock, 8)) == 8


def test_limits_are_changed_one_by_one_and_taken_away(client: SwapClient) -> None:
    client.operator.set_tenant("b", rate="300/m", max_in_flight=4)
    client.operator.set_tenant("a", weight=2)
    assert client.operator.set_tenant("b", paused=True) == TenantLimits(
        tenant="b", rate=Rate("300/m"), max_in_flight=4, paused=True
    )
    assert [tenant.tenant for tenant in client.operator.tenants()] == ["a", "b"]
    client.operator.set_tenant("b", rate=None, max_in_flight=0, paused=False)
    (left,) = client.operator.tenants()
    assert TenantLimits(**left.model_dump(include=set(TenantLimits.model_fields))) == TenantLimits(tenant="a", weight=2)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"rate": "fast"}, "rate: must be a rate like 5/s, 300/m or 1000/h"),
        ({"weight": 0}, "weight: must be at least 0.01"),
        ({"max_in_flight": -1}, "max_in_flight: must be at least 0"),
        ({"colour": "red"}, "colour: is no field here; known are tenant, rate"),
    ],
)
def test_wrong_limits_are_refused_with_what_would_be_right(
    client: SwapClient, limits: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidRequest, match=text.replace("/", ".")):
        client.operator.set_tenant("t", **limits)
    assert not any(item.paused for item in client.operator.tenants())
