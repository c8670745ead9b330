"""Records and tombstones: what lies in Redis for a job while it lives, when it ended well, and when it is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from support import records
from support.builders import claim, make_request, submit
from support.fake_clock import FakeClock, clocked_store
from support.traffic_state import peek, poke
from swapjobs import JobGone, JobNotFound, JobState
from swapjobs.contract.job import job_id
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.tenant import TenantLimits
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys, record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.store.store import Store

DAY_S = 86_400
HASHES = 1024  # of tombstones
OF_THE_MODULE = {"id", "names", "history", "text", "ttl_ms", *record.HEAD}
LETTERS = st.characters(codec="ascii", min_codepoint=97, max_codepoint=122)
NAMES = st.text(LETTERS, min_size=1, max_size=12).filter(lambda name: name not in OF_THE_MODULE)
TEXTS = st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]), min_size=1, max_size=80)


@pytest.fixture
def settings(settings: WorkerSettings) -> WorkerSettings:
    return settings.model_copy(update={"rate_limit": Rate("10000/s"), "rate_burst": 100})


@pytest.fixture
def clocked(settings: WorkerSettings) -> Iterator[Store]:
    with clocked_store(settings) as store:
        yield store


def succeed(store: Store, id_: str) -> None:
    entry = record.entry("result", output_url="https://out.example/1.png")
    assert store.attempts.record_outcome(claim(store, id_), Event.SUCCEED, patch={}, entry=entry) == "ok"


@given(
    patch=st.dictionaries(NAMES, TEXTS, min_size=1, max_size=6),
    again=st.dictionaries(NAMES, TEXTS, min_size=1, max_size=6),
)
@hypothesis.settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_function_writes_is_what_a_program_reads(
    store: Store, patch: dict[str, str], again: dict[str, str]
) -> None:
    id_ = submit(store, metadata={"text": "ä\n\t"})
    before = records.fields(store.redis, id_)
    store.attempts.record_outcome(claim(store, id_), Event.WAIT, patch=patch, entry="{}")
    claimed = claim(store, id_)
    assert {name: claimed.job.fields[name] for name in patch} == patch
    store.attempts.record_outcome(claimed, Event.WAIT, patch=again, entry="{}")
    after = store.jobs.get(id_)
    assert {name: after.fields[name] for name in patch | again} == patch | again
    unchanged = ("tenant", "priority", "business_id", "fingerprint", "created_at")
    assert {name: after.fields[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert (after.to_job().metadata, len(after.history)) == ({"text": "ä\n\t"}, 3)
    store.jobs.cancel(id_)  # so that the next one's message goes out


def test_a_job_is_one_key_from_its_submission_to_its_end(store: Store) -> None:
    def of_jobs() -> set[str]:
        return {str(key) for key in store.redis.keys("*") if any(id_ in str(key) for id_ in ids)}

    ids = [submit(store) for _ in range(3)]
    assert of_jobs() == {keys.job(id_) for id_ in ids}
    for id_ in ids:
        succeed(store, id_)
    assert of_jobs() == {keys.job(id_) for id_ in ids}


def test_a_job_that_ended_well_at_once_tells_when_its_attempt_was_though_it_keeps_it_no_second_time(
    clocked: Store,
) -> None:
    clock = FakeClock(clocked.redis)
    id_ = submit(clocked)
    clock.move(2)
    claimed = claim(clocked, id_)
    clock.move(3)
    entry = record.entry("result", output_url="https://out.example/1.png")
    clocked.attempts.record_outcome(claimed, Event.SUCCEED, patch={}, entry=entry)
    line = clocked.jobs.get(id_).history[1]
    assert (line["at"], line["duration_ms"]) == ((clock.now_s - 3) * 1000, 3000)
    job = clocked.jobs.get(id_).to_job()
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    assert job.finished_at is not None
    assert job.started_at == job.finished_at - timedelta(seconds=3)


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_a_record_that_expired_is_told_from_one_that_never_was(store: Store, tenant: str) -> None:
    id_ = submit(store, tenant=tenant)
    succeed(store, id_)
    store.redis.delete(keys.job(id_))  # as the TTL does
    with pytest.raises(JobGone) as gone:
        store.jobs.get(id_)
    assert gone.value.tenant == tenant
    with pytest.raises(JobNotFound):
        store.jobs.get(id_[:-1] + ("a" if id_[-1] != "a" else "b"))


@pytest.mark.parametrize("tenant", ["default", "acme"])
def test_an_id_that_is_used_for_the_third_time_has_its_third_generation(store: Store, tenant: str) -> None:
    generations = []
    for _ in range(3):
        id_ = submit(store, business_task_id="order-1", tenant=tenant)
        generations.append(records.fields(store.redis, id_).get("generation", "1"))
        succeed(store, id_)
        store.redis.delete(keys.job(id_))
    assert generations == ["1", "2", "3"]


def test_tombstones_stay_for_forty_days_after_the_record_and_are_swept_then(
    clocked: Store, settings: WorkerSettings
) -> None:
    clock = FakeClock(clocked.redis)
    early = [submit(clocked) for _ in range(20)]
    for id_ in early:
        succeed(clocked, id_)
    clock.move(30 * DAY_S)
    late = submit(clocked)
    succeed(clocked, late)

    def buried(ids: list[str]) -> int:
        return sum(bool(clocked.redis.hexists(*keys.tombstone(id_))) for id_ in ids)

    def sweep_all() -> None:
        for _ in range(HASHES):
            clock.move(1)
            clocked.dispatch.dispatch_due("w", 30, stayed=True)

    days_kept = settings.result_ttl_s / DAY_S + 40
    clock.move((days_kept - 30) * DAY_S - HASHES - 10)
    sweep_all()
    assert buried(early) == 20
    clock.move(DAY_S)
    sweep_all()
    assert (buried(early), buried([late])) == (0, 1)


def test_what_a_product_calls_its_task_spoils_no_record(store: Store) -> None:
    store.redis.lpush(keys.arriving(), "message")
    store.product_tasks.refuse("a task\twith\nany=name", "{}", "message")
    (id_,) = (str(key).removeprefix(keys.delivery("")) for key in store.redis.scan_iter(keys.delivery("*")))
    delivery = record.unpack(id_, str(store.redis.get(keys.delivery(id_))))
    assert (delivery.fields["subject"], delivery.fields["event"]) == ("a task with any=name", "celery")


def test_the_hash_of_a_tombstone_expires_no_sooner_than_any_of_its_tombstones(store: Store) -> None:
    """A tenant whose records are kept for a minute shares it with one whose records are kept for a year."""
    ids: Any = {tenant: [job_id(tenant, f"n{number}") for number in range(4000)] for tenant in ("long", "short")}
    of = {id_[:2]: number for number, id_ in enumerate(ids["long"])}
    number = next(number for number, id_ in enumerate(ids["short"]) if id_[:2] in of)
    prefix = ids["short"][number][:2]
    for tenant, ttl_s, nth in (("long", 300 * DAY_S, of[prefix]), ("short", 60, number)):
        store.tenants.set(TenantLimits(tenant=tenant, weight=2, result_ttl_s=ttl_s))
        succeed(store, submit(store, tenant=tenant, business_task_id=f"n{nth}"))
    assert store.redis.ttl(keys.tombstones(prefix)) >= 340 * DAY_S


def test_a_look_leaves_the_fleet_state_as_it_is_and_the_next_change_is_no_less_for_it(store: Store) -> None:
    id_ = submit(store)
    peek(store.redis, "sequence")
    poke(store.redis, max_in_flight=7)  # of another version of the library, as it were: its own tables
    succeed(store, id_)
    assert peek(store.redis, "max_in_flight") == 7
    again = submit(store, **make_request().model_dump())
    assert peek(store.redis, "sequence") == 2
    store.redis.flushall()
    assert submit(store) != again
    assert peek(store.redis, "sequence") == 1
