"""`swapjobs retry` as an operator types it, and finished failures that run again with real workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.builders import claim, make_request, submit, wait_until
from support.processes import finished
from support.traffic_state import poke
from swapjobs import ErrorCode, JobState, SwapClient
from swapjobs.cli.main import run
from swapjobs.contract.lifecycle import Event
from swapjobs.store import record
from swapjobs.store.claims import NotClaimed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from support.processes import Program, Sandbox
    from swapjobs.store.store import Store

Streams = tuple[int, str, str]


@pytest.fixture
def swapjobs(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Streams]:
    """Run the command line in this process; return exit status, standard output and standard error apart."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def output(*arguments: str) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        status = run(arguments)
        out, err = capfdbinary.readouterr()
        return status, out.decode(), err.decode()

    return output


def failed(store: Store, code: str = "no_face", **fields: str) -> str:
    id_ = submit(store, **fields)
    entry = record.entry("error", code=code, message="as the vendor said")
    store.attempts.record_outcome(claim(store, id_), Event.FAIL, patch={"next_call": "swap"}, entry=entry)
    return id_


def test_by_id_each_is_retried_that_can_be_and_the_others_are_told(
    store: Store, client: SwapClient, swapjobs: Callable[..., Streams]
) -> None:
    one, two, busy = failed(store), failed(store), submit(store)
    status, out, err = swapjobs("retry", one, two, one)
    assert (status, out, err) == (0, "2 retried\n", "")
    assert [client.get(id_).state for id_ in (one, two)] == [JobState.QUEUED, JobState.QUEUED]
    three = failed(store)
    status, out, err = swapjobs("retry", busy, three)
    assert (status, out) == (1, "1 retried, 1 not\n")
    assert err == (
        f"error (not_retryable) job {busy} is queued: only failed, cancelled and expired jobs can be retried\n"
    )
    four = failed(store)
    status, out, err = swapjobs("retry", busy, "no\x1bsuch", four)
    assert (status, out) == (3, "1 retried, 2 not\n")
    assert err.splitlines()[1].startswith("error (job_not_found) no job has the id no\\x1bsuch, and none of tenant ")
    assert client.get(four).state is JobState.QUEUED


def test_as_json_every_job_is_one_line(store: Store, swapjobs: Callable[..., Streams]) -> None:
    one, busy = failed(store, batch_id="b"), submit(store)
    status, out, _ = swapjobs("retry", busy, one, "nosuch", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 3
    assert [line["outcome"] for line in lines] == ["not_retryable", "retried", "job_not_found"]
    assert lines[1] == {"id": one, "outcome": "retried", "error": None}
    assert lines[0]["error"].startswith(f"job {busy} is queued: ")
    two = failed(store, batch_id="b")
    status, out, err = swapjobs("retry", "--batch", "b", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {"id": two, "outcome": "retried", "error": None}


def test_by_batch_code_and_tenant(store: Store, client: SwapClient, swapjobs: Callable[..., Streams]) -> None:
    ids = {
        name: failed(store, code, batch_id=batch, tenant=tenant)
        for name, code, batch, tenant in [
            ("a", "no_face", "b-1", "shop"),
            ("b", "vendor_error", "b-1", "shop"),
            ("c", "vendor_error", "b-2", "shop"),
            ("d", "vendor_error", "b-1", "default"),
        ]
    }

    def queued() -> set[str]:
        return {name for name, id_ in ids.items() if client.get(id_).state is JobState.QUEUED}

    criteria = ("--batch", "b-1", "--error-code", "vendor_error", "--tenant", "shop")
    assert swapjobs("retry", *criteria) == (0, "1 retried\n", "")
    assert queued() == {"b"}
    assert swapjobs("retry", *criteria) == (0, "0 retried\n", "")
    assert swapjobs("retry", "--error-code", "vendor_error") == (0, "2 retried\n", "")
    assert swapjobs("retry", "--batch-id", "b-1") == (0, "1 retried\n", "")
    assert queued() == set("abcd")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "(invalid_request) give ids, or --from-file, or at least one of --batch, --error-code and --tenant"),
        (("x", "--batch", "b"), "(invalid_request) give ids, or --from-file, or at least one of --batch, "),
        (("--error-code", "no_faces"), "(usage) Invalid value for '--error-code': 'no_faces' is not one of "),
        (("--batch",), "(usage) Option '--batch' requires an argument"),
    ],
)
@pytest.mark.usefixtures("redis_url")
def test_what_is_typed_wrong_is_told_in_one_line_and_retries_nothing(
    arguments: tuple[str, ...], line: str, store: Store, client: SwapClient, swapjobs: Callable[..., Streams]
) -> None:
    id_ = failed(store, batch_id="b")
    status, out, err = swapjobs("retry", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error {line}")
    assert err.count("\n") == 1
    assert client.get(id_).state is JobState.FAILED
    if "no_faces" in arguments:
        assert all(f"'{code}'" in err for code in ErrorCode)
        assert "; did you mean no_face? (see " in err


def test_a_full_redis_is_told_with_what_was_retried_before(store: Store, swapjobs: Callable[..., Streams]) -> None:
    failed(store, batch_id="b")
    poke(store.redis, memory_full=1)
    status, out, err = swapjobs("retry", "--batch", "b")
    assert (status, out) == (4, "")
    assert err.splitlines()[0] == "stopped: 0 retried; they stay so"
    assert err.splitlines()[1].startswith("error (queue_full) Redis is ")


@pytest.mark.usefixtures("worker")
def test_a_failed_batch_runs_again_and_every_end_has_its_webhook(
    client: SwapClient, vendor: Sandbox, hooks: httpx.Client, swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    """A bad day of the vendor is over: one command, and nothing is paid twice."""
    vendor.faults("status_2:prefix=bad-,msg=SOURCE_NO_FACE: no face found in the source picture")
    names = ["bad-1", "bad-2", "bad-3", "good-1", "good-2"]
    asked = {"batch_id": "monday", "callback_url": f"{hooks.base_url}/in"}
    ids = {name: client.submit(make_request(business_task_id=name, **asked)).id for name in names}
    first = {name: finished(client, id_, hook=True) for name, id_ in ids.items()}
    assert {name for name, job in first.items() if job.state is JobState.FAILED} == set(names[:3])
    assert vendor.get("stats")["billed"] == 2
    vendor.faults()
    status, output = swapjobs_cli("retry", "--batch", "monday")
    assert (status, output) == (0, "3 retried\n")
    jobs = {name: finished(client, id_, hook=True) for name, id_ in ids.items()}
    assert {(job.state, job.failed_attempts, job.error) for job in jobs.values()} == {(JobState.SUCCEEDED, 0, None)}
    assert all(jobs[name] == first[name] for name in names[3:])
    books = vendor.get("stats")
    assert (books["calls"], books["billed"], books["duplicates"]) == (8, 5, 0)
    tasks = vendor.get("tasks")
    assert {name: tasks[name]["billed"] for name in names} == dict(zip(names, (0, 0, 0, 1, 1), strict=True))
    assert all(tasks[f"{ids[name]}-2"]["billed"] == 1 for name in names[:3])

    def events() -> list[tuple[str, str]]:
        seen = hooks.get("/_receiver/events").json()
        assert all(event["verified"] and event["tries"] == 1 for event in seen)
        return sorted((event["job_id"], event["type"]) for event in seen)

    ends = [(ids[name], "swap.failed") for name in names[:3]] + [(ids[name], "swap.succeeded") for name in names]
    wait_until(lambda: events() == sorted(ends), what="one webhook for every end")


@pytest.mark.usefixtures("worker")
def test_a_cancelled_job_whose_call_was_under_way_is_asked_for_and_not_paid_twice(
    client: SwapClient, vendor: Sandbox
) -> None:
    """The retry comes while the vendor still works for the old round."""
    vendor.faults("latency:ms=1500,count=1")
    job = client.submit(make_request(business_task_id="order-1"))
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    client.cancel(job.id)
    client.retry(job.id)
    done = finished(client, job.id)
    assert done.state is JobState.SUCCEEDED
    assert done.output_url
    books = vendor.get("stats")
    assert (books["calls"], books["billed"], books["duplicates"]) == (1, 1, 0)
    assert books["queries"] >= 1
    assert {call["business_id"] for call in vendor.get("calls")} == {"order-1"}


def test_a_new_round_outlives_a_killed_worker(
    program: Callable[..., Program], worker: Program, client: SwapClient, vendor: Sandbox
) -> None:
    vendor.faults("status_2:count=1", "latency:ms=1500")
    job = client.submit(make_request())
    assert finished(client, job.id).state is JobState.FAILED
    client.retry(job.id)
    wait_until(lambda: vendor.get("stats")["in_flight"] == 1)
    worker.end(9)
    program("celery", "-A", "swapworker.app", "worker", "-l", "info", "-n", "second@%h").wait_for("ready.")
    assert finished(client, job.id).state is JobState.SUCCEEDED
    books = vendor.get("stats")
    assert (books["calls"], books["billed"], books["duplicates"]) == (2, 1, 0)


def test_the_jobs_of_a_file_are_retried_with_the_urls_given_there(
    store: Store, client: SwapClient, swapjobs: Callable[..., Streams], tmp_path: Path
) -> None:
    """The export of a shop, with its pictures signed anew; rows of other pictures and unknown ids cost themselves."""
    dead = "https://pictures.example/{}.jpg?Signature=a&AWSAccessKeyId=A&Expires=1000000000"
    urls = {name: dead.format(name[:6]) for name in ("source_url", "target_url")}
    one, two = (submit(store, business_task_id=f"order-{number}", **urls) for number in (901, 902))
    assert [store.attempts.claim(id_, 30) for id_ in (one, two)] == [
        NotClaimed("failed")
    ] * 2  # their signatures are dead
    fresh = [url.replace("1000000000", "4000000000") for url in urls.values()]
    file = tmp_path / "fresh.csv"
    rows = [
        ("order-901", *fresh),
        ("order-902", "https://pictures.example/other.jpg", fresh[1]),
        ("order-903", *fresh),
    ]
    lines = ["business_task_id,source_url,target_url", *(",".join(row) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, out, err = swapjobs("retry", "--from-file", str(file))
    assert (status, out) == (3, "1 retried, 2 not\n")
    assert "other pictures" in err
    assert (client.get(one).state, client.get(one).source_url) == (JobState.QUEUED, fresh[0])
    assert client.get(two).state is JobState.FAILED
    file.write_text("business_task_id,source_url,target_url\n,x,y\n", encoding="utf-8")
    status, out, err = swapjobs("retry", "--from-file", str(file))
    assert (status, out) == (2, "")
    assert err.startswith(f"error (invalid_request) {file}, line 2: ")
    failed_before = failed(store)
    file.write_text("business_task_id,source_url,target_url\n", encoding="utf-8")
    status, out, err = swapjobs("retry", "--from-file", str(file), "--tenant", "default")
    assert (status, out) == (0, "0 retried\n")
    assert client.get(failed_before).state is JobState.FAILED, "a file without rows is not all of a tenant's failures"
