"""The commands batch ...: a file becomes one batch, killed or sent twice; it is watched, steered and reported."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support.builders import wait_until
from support.fleet import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox
    from swapjobs import SwapClient

NO_FACE = "status_2:msg=TARGET_NO_FACE: no face found,prefix=bad"


def write(folder: Path, rows: int, *, bad: int = 0) -> Path:
    """A CSV file; the last rows have ids that the sandbox can be told to fail."""
    lines = [
        f"http://a.example/{n}.jpg,http://b.example/t.jpg,{f'bad-{n}' if n >= rows - bad else ''}" for n in range(rows)
    ]
    path = folder / "jobs.csv"
    path.write_text("\n".join(["source_url,target_url,business_task_id", *lines, ""]), encoding="utf-8")
    return path


def shown(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_a_file_sent_twice_makes_nothing_twice(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    write(tmp_path, 250)
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "spring", "--keep-open")
    assert (status, output) == (0, "batch spring\n250 jobs: 250 created, 0 existing, 0 conflict, 0 invalid\n")
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "spring", "--json")
    *rows, batch = shown(output)
    assert status == 0
    assert [row["outcome"] for row in rows] == ["existing"] * 250
    assert (batch["state"], batch["total"]) == ("closed", 250)
    assert client.get(rows[0]["id"]).business_task_id == "spring-2"
    assert not list(tmp_path.glob("*.progress"))


def test_rows_whose_jobs_stay_in_another_batch_are_told_of(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    row = "http://a.example/{0}.jpg,http://b.example/t.jpg,order-{0}"
    lines = ["source_url,target_url,business_task_id", row.format(1), row.format(2)]
    (tmp_path / "jobs.csv").write_text("\n".join(lines), encoding="utf-8")
    text = "of batch {}: the business_task_id has a job already, which stays in the batch that it was submitted with"
    for _ in range(2):
        status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "first")
        assert (status, "has a job already" in output) == (0, False), output
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "second")
    assert (status, client.batches.get("second").total) == (0, 0)
    assert f"2 rows are no jobs {text.format('second')}" in output
    (tmp_path / "jobs.csv").write_text("\n".join([*lines, row.format(3)]), encoding="utf-8")
    assert "2 rows are no jobs of batch third" in swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "third")[1]
    assert client.batches.get("third").total == 1


def test_a_batch_stays_open_for_the_lines_that_came_to_nothing(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    path = write(tmp_path, 3)
    right = path.read_text(encoding="utf-8")
    path.write_text(right.replace("http://a.example/1.jpg", "no address"), encoding="utf-8")
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "spring", "--tenant", "acme")
    assert (status, client.batches.get("spring", tenant="acme").state) == (1, "open"), output
    assert "line 3: source_url" in output
    assert "swapjobs batch close spring --tenant acme" in output
    path.write_text(right, encoding="utf-8")
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "spring", "--tenant", "acme")
    assert (status, "3 jobs: 1 created, 2 existing" in output) == (0, True), output
    assert client.batches.get("spring", tenant="acme").state == "closed"
    path.write_text(right + "http://a.example/4.jpg,http://b.example/t.jpg,\n", encoding="utf-8")
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "spring", "--tenant", "acme")
    assert (status, "another id is another batch" in output, "stays open" in output) == (1, True, False), output


def test_ids_of_rows_stay_short_enough_for_the_longest_batch_id(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    write(tmp_path, 2)
    for id_ in ("x" * 64, "x" * 63 + "y"):
        assert swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", id_)[0] == 0
        assert client.batches.get(id_).total == 2
        ids = [job.business_task_id for job in client.list(batch_id=id_).jobs]
        assert all(len(item) <= 64 for item in ids)


def test_rows_of_another_tenant_or_batch_are_refused(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    text = "source_url,target_url,tenant,batch_id\nhttp://a.example/s,http://b.example/t,{},{}\n"
    (tmp_path / "jobs.csv").write_text(text.format("acme", "mine"), encoding="utf-8")
    status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "mine", "--tenant", "acme")
    assert status == 0, output
    for tenant, batch_id in (("other", "mine"), ("acme", "another")):
        (tmp_path / "jobs.csv").write_text(text.format(tenant, batch_id), encoding="utf-8")
        status, output = swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "mine", "--tenant", "acme")
        assert (status, "leave it out" in output) == (1, True)
    assert client.batches.get("mine", tenant="acme").total == 1
    assert client.batches.list(tenant="other") == ([], None)


def test_killed_and_started_again_it_goes_on_with_the_same_batch(
    program: Callable[..., Program], client: SwapClient, tmp_path: Path
) -> None:
    """Also where no batch id was given: the progress file knows it."""
    write(tmp_path, 500)
    running = program("swapjobs", "batch", "submit", "jobs.csv", "--max-queued", "150")
    wait_until(lambda: sum(client.operator.status().queued.values()) == 150, what="150 queued")
    running.end(signal.SIGKILL)
    (batch,), _ = client.batches.list()
    assert batch.state == "open"
    again = program("swapjobs", "batch", "submit", "jobs.csv", "--json")
    assert again.process.wait(60) == 0
    again.__exit__()
    (batch,), _ = client.batches.list()
    assert (batch.state, batch.total) == ("closed", 500)


def test_nothing_is_left_where_redis_is_not_there(swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    write(tmp_path, 3)
    assert swapjobs_cli("batch", "submit", "jobs.csv", SWAPJOBS_REDIS_URL="redis://127.0.0.1:1/0")[0] == 4
    assert sorted(item.name for item in tmp_path.iterdir()) == ["jobs.csv"]


def test_a_batch_is_watched_to_its_end_retried_and_reported(
    swapjobs_cli: Callable[..., tuple[int, str]], program: Callable[..., Program], vendor: Sandbox, tmp_path: Path
) -> None:
    program(*WORKER, "a@%h").wait_for("ready.")
    write(tmp_path, 60, bad=10)
    vendor.faults(NO_FACE)
    assert swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "b")[0] == 0
    status, output = swapjobs_cli("batch", "show", "b", "--watch", "--interval", "0.2", "--json")
    last = shown(output)[-1]
    assert (status, last["state"], last["counts"]["succeeded"], last["errors"]) == (1, "completed", 50, {"no_face": 10})
    vendor.faults()
    status, output = swapjobs_cli("batch", "retry", "b", "--error-code", "no_face")
    assert (status, "round" in output) == (0, True), output
    status, output = swapjobs_cli("batch", "show", "b", "--watch", "--interval", "0.2")
    assert (status, "60: 60 succeeded" in output) == (0, True), output
    status, output = swapjobs_cli("batch", "report", "b", "--no-pictures")
    assert (status, output) == (0, "batch-b.html is written\n")
    page = (tmp_path / "batch-b.html").read_text(encoding="utf-8")
    assert page.count('"succeeded"') >= 60
    assert page.endswith("</html>\n")


def test_a_batch_is_steered(swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    write(tmp_path, 5)
    swapjobs_cli("batch", "submit", "jobs.csv", "--batch-id", "b", "--tenant", "acme", "--keep-open")
    mine = ("b", "--tenant", "acme", "--json")
    assert shown(swapjobs_cli("batch", "pause", *mine)[1])[0]["paused"]
    assert not shown(swapjobs_cli("batch", "resume", *mine)[1])[0]["paused"]
    assert shown(swapjobs_cli("batch", "close", *mine)[1])[0]["state"] == "closed"
    assert shown(swapjobs_cli("batch", "cancel", *mine)[1])[0]["counts"]["cancelled"] == 5
    status, output = swapjobs_cli("batch", "list", "--tenant", "acme")
    assert (status, output.split()) == (0, ["b", "completed", "5", "of", "5", "finished"])
    assert swapjobs_cli("batch", "list") == (0, "no batches of tenant default\n")


@pytest.mark.parametrize("command", ["show", "pause", "resume", "cancel", "retry", "close", "report"])
def test_an_unknown_batch_is_told(command: str, swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    result = "error (batch_not_found) tenant 'default' has no batch 'none'\n"
    assert swapjobs_cli("batch", command, "none") == (3, result)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_told(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient
) -> None:
    client.batches.open("b")
    status, output = swapjobs_cli("batch", "report", "b", "-o", "none/x.html")
    assert (status, output) == (
        2,
        "error (invalid_request) -o none/x.html: cannot be written: No such file or directory\n",
    )
    status, output = swapjobs_cli("batch", "report", "b", "-o", "-")
    assert (status, output.startswith("<!doctype html>")) == (0, True)
