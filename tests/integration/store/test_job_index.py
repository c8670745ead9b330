"""Lists of jobs: their order, filters and cursors; and that their indexes do not outlive the jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support import records
from support.builders import claim, make_request, submit, wait_until
from support.fake_clock import FakeClock, clocked_store
from swapjobs import InvalidRequest, JobState, SwapClient
from swapjobs.contract.errors import ErrorCode
from swapjobs.contract.filters import JobQuery
from swapjobs.contract.lifecycle import Event
from swapjobs.store import job_index, keys
from swapjobs.store.job_index import page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

TTL_S = 600


@pytest.fixture
def clocked(settings: WorkerSettings) -> Iterator[tuple[Store, FakeClock]]:
    with clocked_store(settings.model_copy(update={"result_ttl_s": TTL_S})) as store:
        yield store, FakeClock(store.redis)


def listed(store: Store, **query: Any) -> list[str]:
    """Return the ids of all pages."""
    ids, cursor = [], None
    while True:
        answer = page(store.redis, JobQuery(**query, cursor=cursor))
        ids += [job.id for job in answer.jobs]
        cursor = answer.next_cursor
        if cursor is None:
            return ids


def fail(store: Store, id_: str, code: str) -> None:
    answer = store.attempts.record_outcome(
        claim(store, id_),
        Event.FAIL,
        patch={"next_call": "swap", "code": code},
        entry=f'{{"kind": "error", "code": "{code}", "message": "no"}}',
        signal="answer",
    )
    assert answer == "ok"


def vanish(store: Store, *ids: str) -> None:
    """As if the records had expired."""
    for id_ in ids:
        store.redis.delete(keys.job(id_))


def dispatch(store: Store, steps: int = 3) -> None:
    for _ in range(steps):
        store.dispatch.dispatch_due("dispatcher", 30, stayed=True)


def test_jobs_are_listed_newest_first_page_by_page(client: SwapClient) -> None:
    ids = [client.submit(make_request()).id for _ in range(5)]
    client.submit(make_request(tenant="another"))
    first = client.list(limit=2)
    second = client.list(limit=2, cursor=first.next_cursor)
    third = client.list(limit=2, cursor=second.next_cursor)
    assert [job.id for item in (first, second, third) for job in item.jobs] == ids[::-1]
    assert first.next_cursor
    assert second.next_cursor
    assert third.next_cursor is None
    assert first.jobs[0] == client.get(ids[-1])


def test_a_page_stays_what_it_was_when_new_jobs_come(client: SwapClient) -> None:
    ids = [client.submit(make_request()).id for _ in range(3)]
    cursor = client.list(limit=1).next_cursor
    client.submit(make_request())
    assert [job.id for job in client.list(cursor=cursor).jobs] == [ids[1], ids[0]]


def test_every_filter_leaves_out_what_does_not_fit(store: Store) -> None:
    batched = submit(store, batch_id="b")
    no_face, unreachable, plain = (submit(store) for _ in range(3))
    fail(store, no_face, "no_face")
    fail(store, unreachable, "image_unreachable")
    store.jobs.cancel(plain)
    assert listed(store, batch_id="b") == [batched]
    assert listed(store, state="failed") == [unreachable, no_face]
    assert listed(store, error_code="no_face") == [no_face]
    assert listed(store, error_code="no_face", state="queued") == []
    assert listed(store, batch_id="b", state="failed") == []
    assert listed(store, tenant="another") == []
    store.jobs.retry([no_face])
    assert listed(store, error_code="no_face") == []
    assert "code" not in records.fields(store.redis, no_face), "a retry takes the code away"


def test_expired_jobs_are_found_by_their_code(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    id_ = submit(store, expires_at=datetime.fromtimestamp(clock.now_s + 5, UTC))
    clock.move(6)
    dispatch(store)
    assert listed(store, error_code="expired") == [id_]


def test_a_range_of_time_includes_both_ends(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    ids = []
    for _ in range(4):
        ids.append(submit(store))
        clock.move(10)
    begin = datetime.fromtimestamp(clock.now_s - 30, UTC)
    end = begin + timedelta(seconds=10)
    assert listed(store, created_after=begin) == ids[:0:-1]
    assert listed(store, created_before=end) == ids[2::-1]
    assert listed(store, created_after=begin, created_before=end, limit=1) == [ids[2], ids[1]]
    newest = page(store.redis, JobQuery(limit=1)).next_cursor
    assert [job.id for job in page(store.redis, JobQuery(created_before=end, cursor=newest)).jobs] == ids[2::-1]


def test_a_rare_filter_looks_at_a_bounded_number_of_jobs(store: Store, client: SwapClient) -> None:
    """The page is empty and its cursor goes on: nobody waits for a million records."""
    rare = submit(store)
    store.jobs.cancel(rare)
    for _ in client.submit_many(make_request() for _ in range(job_index.LOOKED_AT + 10)):
        pass
    first = client.list(state=JobState.CANCELLED)
    assert not first.jobs
    assert first.next_cursor
    assert [job.id for job in client.list(state="cancelled", cursor=first.next_cursor).jobs] == [rare]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cursor", "yesterday"),
        ("cursor", ""),
        ("cursor", "1-2-3"),
        ("cursor", "-"),
        ("cursor", "99999999999999999-0"),
        ("limit", 0),
        ("limit", 501),
        ("state", "done"),
        ("error_code", "nonsense"),
        ("tenant", "a:b"),
        ("batch_id", ""),
        ("created_after", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(client: SwapClient, field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.list(**{field: value})
    assert refused.value.field == field


def test_an_id_that_is_used_again_is_listed_once(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    id_ = submit(store, business_task_id="again", batch_id="b")
    vanish(store, id_)
    clock.move(1)
    other = submit(store)
    assert submit(store, business_task_id="again", batch_id="b") == id_
    assert listed(store) == [id_, other]
    assert listed(store, batch_id="b") == [id_]


def test_jobs_submitted_after_the_clock_was_put_back_are_listed(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    before = submit(store, batch_id="b")
    clock.move(-3600)
    after = [submit(store, batch_id="b") for _ in range(3)]
    assert listed(store) == listed(store, batch_id="b") == [*after[::-1], before]


def test_entries_of_jobs_that_are_gone_are_pruned_behind_those_that_live_on(
    clocked: tuple[Store, FakeClock],
) -> None:
    """Also for a tenant that submits no more. A thousand jobs that wait for long do not stand in the way."""
    store, clock = clocked
    waiting = [item.id for _ in range(5) for item in store.jobs.submit(make_request(batch_id="b") for _ in range(100))]
    ended = [str(item.id) for item in store.jobs.submit(make_request(batch_id="b") for _ in range(50))]
    young = submit(store)
    vanish(store, *ended)
    index, of_batch = keys.index("default"), keys.index("default", "b")
    clock.move(TTL_S - 1)
    dispatch(store)
    assert store.redis.xlen(index) == 551, "what may still be there is not looked at"
    clock.move(60)
    dispatch(store, 20)
    assert (store.redis.xlen(index), store.redis.xlen(of_batch)) == (501, 500)
    assert not store.redis.exists(keys.pruning())
    vanish(store, *(str(id_) for id_ in waiting), young)
    clock.move(3600)
    dispatch(store, 20)
    assert not store.redis.exists(index, of_batch, keys.pruning()), "the keys go with their last entry"
    assert not [member for member in store.redis.zrange(keys.schedule(), 0, -1) if str(member).startswith("prune:")]


def test_a_pruned_index_begins_anew(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    vanish(store, submit(store))
    clock.move(TTL_S + 60)
    dispatch(store)
    assert not store.redis.exists(keys.index("default"))
    id_ = submit(store)
    assert listed(store) == [id_]
    vanish(store, id_)
    clock.move(TTL_S + 60)
    dispatch(store)
    assert not store.redis.exists(keys.index("default"))


def test_the_entry_of_an_id_that_is_used_again_is_pruned(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    id_ = submit(store, business_task_id="again")
    clock.move(TTL_S)
    vanish(store, id_)
    submit(store, business_task_id="again")
    clock.move(60)
    dispatch(store)
    assert store.redis.xlen(keys.index("default")) == 1
    assert listed(store) == [id_]


def test_a_step_of_pruning_is_bounded(clocked: tuple[Store, FakeClock]) -> None:
    store, clock = clocked
    ended = [str(item.id) for _ in range(5) for item in store.jobs.submit(make_request() for _ in range(100))]
    vanish(store, *ended)
    clock.move(TTL_S + 60)
    dispatch(store, 1)
    assert store.redis.xlen(keys.index("default")) == 300


def test_a_failed_job_keeps_its_code_as_a_small_field(store: Store) -> None:
    id_ = submit(store)
    fail(store, id_, str(ErrorCode.NO_FACE))
    assert records.fields(store.redis, id_)["code"] == "no_face"


def test_the_jobs_of_all_tenants_are_merged_newest_first(clocked: tuple[Store, FakeClock]) -> None:
    """Also those of the same millisecond, and over the bounds of pages and of what is read ahead."""
    store, clock = clocked
    ids = []
    for number in range(260):
        clock.move(0.0 if number % 3 else 0.001)
        ids.append(submit(store, tenant=f"tenant-{number % 70:02d}"))
    assert listed(store, tenant=None, limit=7) == listed(store, tenant=None, limit=500)
    times = [int(records.fields(store.redis, id_)["created_at"]) for id_ in listed(store, tenant=None, limit=50)]
    assert (len(times), times) == (260, sorted(times, reverse=True))
    assert sorted(listed(store, tenant=None, limit=9)) == sorted(ids)
    few = [id_ for id_ in ids if records.fields(store.redis, id_)["tenant"] == "tenant-03"]
    assert listed(store, tenant="tenant-03", limit=2) == few[::-1]


def test_filters_hold_for_the_jobs_of_all_tenants(store: Store) -> None:
    ids = []
    for number in range(40):
        ids.append(submit(store, tenant=f"t{number % 5}"))
        submitted_at = store.now_ms()  # those of one millisecond stand by their tenants
        wait_until(lambda: store.now_ms() > submitted_at)  # noqa: B023 - used here
    for id_ in ids[::4]:
        store.jobs.cancel(id_)
    assert listed(store, tenant=None, state="cancelled", limit=3) == ids[::4][::-1]
    with pytest.raises(InvalidRequest, match="say whose"):
        page(store.redis, JobQuery(tenant=None, batch_id="spring"))
    with pytest.raises(InvalidRequest, match="cursor"):
        page(store.redis, JobQuery(tenant=None, cursor="1-1"))


def test_jobs_are_told_apart_by_their_tool(store: Store) -> None:
    roop, other = submit(store), submit(store, tool="v2/roop")
    assert (listed(store, tool="roop"), listed(store, tool="v2/roop")) == ([roop], [other])
    with pytest.raises(InvalidRequest, match="tool: must be one of roop"):
        page(store.redis, JobQuery(tool="v3/roop"))
