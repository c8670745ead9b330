"""submit-batch as long imports need it: killed and gone on with, held back, Redis away, full or emptied meanwhile."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from support import records
from support.builders import wait_until
from support.killed_redis import kill_redis
from swapjobs import SwapClient
from swapjobs.cli.main import run
from swapjobs.settings import CoreSettings
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Program

BATCH: Final = ("swapjobs", "submit-batch", "jobs.csv")


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """No vendor: nothing is swapped here."""
    return {"SWAPJOBS_REDIS_URL": redis_url}


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis that only this test breaks."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment["SWAPJOBS_REDIS_URL"] = server.url
        yield server


def source(number: int) -> str:
    return f"http://a.example/{number}.jpg"


def write(path: Path, rows: int, *, own_id: Callable[[int], bool] = lambda _: False) -> None:
    """A CSV file; each row has a picture of its own, and a business id where it is told so."""
    lines = (
        f"{source(number)},http://b.example/t.jpg,{f'own-{number}' if own_id(number) else ''}" for number in range(rows)
    )
    path.write_text("\n".join(["source_url,target_url,business_task_id", *lines, ""]), encoding="utf-8")


def accepted(client: SwapClient) -> Counter[str]:
    """How often each picture was accepted."""
    redis: Any = client._store.redis  # noqa: SLF001 - to see all jobs
    return Counter(json.loads(request)["source_url"] for request in records.requests(redis))


def line_of(path: Path) -> int:
    """How far a run is, by its progress file."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return int(json.loads(text)["line"]) if text else 0


def queued(client: SwapClient) -> int:
    return sum(client.operator.status().queued.values())


def held_at(client: SwapClient, program: Callable[..., Program], limit: int) -> Program:
    """Start a run that stops when so many are queued, and return once they do."""
    running = program(*BATCH, "--max-queued", str(limit), "--json")
    wait_until(lambda: queued(client) == limit, what=f"{limit} queued")
    wait_until(lambda: running.output.count("\n") == limit, what=f"{limit} lines told")
    return running


def free(client: SwapClient, running: Program) -> None:
    """Take every job away that was told."""
    for output in list(running.lines):
        if output.startswith("{"):
            client.cancel(json.loads(output)["id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_and_started_again_every_line_is_accepted_once(
    seed: int, program: Callable[..., Program], client: SwapClient, tmp_path: Path
) -> None:
    rows, chance = 10_000, random.Random(seed)
    owned = frozenset(chance.sample(range(rows), (0, rows // 2, 5)[seed - 1]))
    write(tmp_path / "jobs.csv", rows, own_id=owned.__contains__)
    progress = tmp_path / "jobs.csv.progress"
    counts: Counter[int] = Counter()
    for kill_at in [*sorted(chance.sample(range(rows), 4)), 2 * rows]:
        running = program(*BATCH, "--json", PYTHONUNBUFFERED="")  # as a user's: what was printed may be lost
        wait_until(lambda: running.process.poll() is not None or line_of(progress) > kill_at, what="time to kill")  # noqa: B023 - at once
        status = running.end(signal.SIGKILL)
        counts.update(
            json.loads(line)["line"] for line in running.lines if line.startswith("{") and line.endswith("}\n")
        )
        assert status in {0, -signal.SIGKILL}, running.output[-2000:]
        if status == 0 or not progress.exists():  # it was there: killed when all was done but to end
            break
    assert accepted(client) == dict.fromkeys(map(source, range(rows)), 1)
    assert set(counts) == set(range(2, rows + 2))
    assert not progress.exists()


def test_the_totals_are_those_of_all_runs(program: Callable[..., Program], client: SwapClient, tmp_path: Path) -> None:
    write(tmp_path / "jobs.csv", 500)
    with (tmp_path / "jobs.csv").open("a", encoding="utf-8") as file:
        file.write("nonsense,http://b.example/t.jpg,\n")
    held_at(client, program, 150).end(signal.SIGKILL)
    again = program(*BATCH)
    assert again.process.wait(30) == 1
    again.__exit__()
    assert again.lines[0] == "goes on after line 151, where jobs.csv.progress says\n"
    assert again.lines[-1] == "501 jobs: 500 created, 0 existing, 0 conflict, 1 invalid\n"


def test_max_queued_holds_back_and_goes_on_when_the_line_is_shorter(
    program: Callable[..., Program], client: SwapClient, tmp_path: Path
) -> None:
    write(tmp_path / "jobs.csv", 1000)
    running = held_at(client, program, 250)
    longest = 0
    while running.process.poll() is None:
        free(client, running)
        wait_until(lambda: running.process.poll() is not None or queued(client) > 0, what="more jobs, or the end")
        longest = max(longest, queued(client))
    assert running.end() == 0
    assert 0 < longest <= 250
    assert accepted(client) == dict.fromkeys(map(source, range(1000)), 1)


def test_what_is_not_the_same_as_before_is_refused_and_told(
    program: Callable[..., Program], swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, tmp_path: Path
) -> None:
    file, progress = tmp_path / "jobs.csv", tmp_path / "jobs.csv.progress"
    write(file, 300)
    text = file.read_text(encoding="utf-8")
    running = held_at(client, program, 100)
    status, output = swapjobs_cli(*BATCH[1:])
    assert (status, output) == (
        2,
        "error (invalid_request) jobs.csv.progress: another run is submitting this file now; wait for its end\n",
    )
    running.end(signal.SIGKILL)
    begun = "error (invalid_request) jobs.csv.progress tells of a run that was stopped after line 101"
    file.write_text(text.replace("/299.jpg", "/300.jpg"), encoding="utf-8")
    status, output = swapjobs_cli(*BATCH[1:])
    assert (status, output.startswith(f"{begun}, and the input was changed since: ")) == (2, True), output
    file.write_text(text, encoding="utf-8")
    status, output = swapjobs_cli(*BATCH[1:], "--tenant", "other")
    assert (status, output.startswith(f"{begun}, with other options: ")) == (2, True), output
    saved = progress.read_text(encoding="utf-8")
    progress.write_text(saved[:200], encoding="utf-8")
    status, output = swapjobs_cli(*BATCH[1:])
    assert (status, output.startswith("error (invalid_request) jobs.csv.progress: is not a progress file")) == (2, True)
    assert len(accepted(client)) == 100
    progress.write_text(saved, encoding="utf-8")
    assert swapjobs_cli(*BATCH[1:])[0] == 0
    assert accepted(client) == dict.fromkeys(map(source, range(300)), 1)


def test_a_run_that_submitted_nothing_leaves_no_progress_file(
    swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    write(tmp_path / "jobs.csv", 3)
    assert swapjobs_cli(*BATCH[1:], SWAPJOBS_REDIS_URL="redis://127.0.0.1:1/0")[0] == 4
    (tmp_path / "bad.csv").write_text("source\n", encoding="utf-8")
    assert swapjobs_cli("submit-batch", "bad.csv")[0] == 2
    assert not list(tmp_path.glob("*.progress"))


def test_where_no_progress_file_can_be_it_is_told(swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    write(tmp_path / "jobs.csv", 3)
    (tmp_path / "jobs.csv.progress").mkdir()
    status, output = swapjobs_cli(*BATCH[1:])
    assert (status, output.splitlines()[-1]) == (0, "3 jobs: 3 created, 0 existing, 0 conflict, 0 invalid")
    assert output.startswith("warning jobs.csv.progress cannot be written (Is a directory): ")


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (".", "--progress-file .: cannot be written: Is a directory"),
        ("none/x", "--progress-file none/x: cannot be written: No such file"),
        ("jobs.csv", "jobs.csv: is the input itself; "),
        ("yours", "yours: is not a progress file of this version of submit-batch; if it is a file of yours, "),
        ("/dev/null", "/dev/null: is no file that progress can be kept in"),
    ],
)
def test_a_place_that_is_no_place_for_progress_is_refused_and_left_alone(
    place: str,
    problem: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """In this process, because there are many."""
    monkeypatch.setenv("SWAPJOBS_REDIS_URL", redis_url)
    write(tmp_path / "jobs.csv", 3)
    (tmp_path / "yours").write_text("dear diary", encoding="utf-8")
    before = (tmp_path / "jobs.csv").read_bytes()
    assert run([*BATCH[1:], "--progress-file", place]) == 2
    assert capfd.readouterr().err.startswith(f"error (invalid_request) {problem}")
    assert ((tmp_path / "jobs.csv").read_bytes(), (tmp_path / "yours").read_text(encoding="utf-8")) == (
        before,
        "dear diary",
    )
    assert run(["submit-batch", "-", "--progress-file", place]) == 2
    assert "- cannot be read a second time" in capfd.readouterr().err


def test_a_redis_that_goes_away_is_waited_for(
    server: EmbeddedRedis, program: Callable[..., Program], tmp_path: Path
) -> None:
    write(tmp_path / "jobs.csv", 300)
    with SwapClient(CoreSettings(redis_url=server.url)) as client:
        running = held_at(client, program, 100)
        kill_redis(server)
        running.wait_for("; trying again for 600 s")
        server.start()
        while running.process.poll() is None:
            free(client, running)
        assert running.end() == 0
        assert running.output.count("warning (queue_unavailable) Redis cannot be reached: ") == 1
        assert accepted(client) == dict.fromkeys(map(source, range(300)), 1)


def test_a_redis_that_comes_back_without_its_jobs_gets_them_again(
    server: EmbeddedRedis, program: Callable[..., Program], swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """A replica may have taken over that had not heard of the last ones."""
    write(tmp_path / "jobs.csv", 300, own_id=lambda number: number % 2 == 0)
    with SwapClient(CoreSettings(redis_url=server.url)) as client:
        running = held_at(client, program, 100)
        server.stop()
        running.wait_for("; trying again for 600 s")
        shutil.rmtree(server.folder / "appendonlydir")
        server.start()
        assert running.process.wait(30) == 4
        running.__exit__()
        assert "error (queue_unavailable) Redis came back without job " in running.output
        status, output = swapjobs_cli(*BATCH[1:])
        assert status == 0
        assert output.startswith("warning Redis does not know job ")
        assert accepted(client) == dict.fromkeys(map(source, range(300)), 1)


def test_a_full_redis_is_waited_for_but_not_for_ever(
    server: EmbeddedRedis, program: Callable[..., Program], swapjobs_cli: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    write(tmp_path / "jobs.csv", 300)
    with SwapClient(CoreSettings(redis_url=server.url)) as client:
        redis: Any = client._store.redis  # noqa: SLF001 - to make it full
        redis.config_set("maxmemory", 1_000_000)
        status, output = swapjobs_cli(*BATCH[1:], "--give-up-after", "0")
        assert (status, output.startswith("error (queue_full) ")) == (4, True), output
        running = program(*BATCH).wait_for("warning (queue_full) ")
        redis.config_set("maxmemory", 0)
        assert running.process.wait(30) == 0
        assert accepted(client) == dict.fromkeys(map(source, range(300)), 1)
