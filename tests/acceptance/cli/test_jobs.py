"""The commands for jobs as a user types them: real processes, exit statuses, and what is on the two streams."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from support import fork_server
from support.builders import make_request, wait_until
from swapjobs import JobState, SwapClient
from swapjobs.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox

PAIR = ("http://pictures.example/s.jpg", "http://pictures.example/t.jpg")
Streams = tuple[int, str, str]


@pytest.fixture
def swapjobs(environment: dict[str, str], tmp_path: Path) -> Callable[..., Streams]:
    """Run the command line; return exit status, standard output and standard error apart."""

    def run(*arguments: str, stdin: bytes = b"", **settings: str) -> Streams:
        env = {**os.environ, **environment, **settings}  # noqa: TID251 - for a child process
        status, output, errors = fork_server.run(["swapjobs", *arguments], cwd=tmp_path, env=env, stdin=stdin)
        assert b"Traceback" not in output + errors, errors
        return status, output.decode(), errors.decode()

    return run


def test_the_life_of_a_job(worker: Program, swapjobs: Callable[..., Streams], vendor: Sandbox) -> None:
    own = ("--business-task-id", "order-1", "--metadata", "cart=[7]", "--tool", "v2/roop")
    status, answer, _ = swapjobs("submit", *PAIR, *own, "--field", "fidelity_weight=0.5", "--wait", "--json")
    assert status == 0
    assert answer.count("\n") == 1
    job = json.loads(answer)
    assert (job["state"], job["metadata"], job["tool"]) == ("succeeded", {"cart": "[7]"}, "v2/roop")
    status, answer, errors = swapjobs("status", job["id"], COLUMNS="20")
    assert (status, errors) == (0, "")
    shown = dict(line.split(maxsplit=1) for line in answer.splitlines())
    assert {name: shown[name] for name in ("id", "state", "source_url")} == {
        "id": job["id"],
        "state": "succeeded",
        "source_url": PAIR[0],
    }
    status, answer, _ = swapjobs("cancel", job["id"], "--json")
    assert (status, json.loads(answer)["state"]) == (0, "succeeded")
    vendor.faults("status_2:msg=SOURCE_NO_FACE: no face")
    status, answer, _ = swapjobs("submit", *PAIR, "--wait", "--json")
    assert (status, json.loads(answer)["error"]["code"]) == (1, "no_face")
    assert swapjobs("wait", json.loads(answer)["id"])[0] == 1
    assert worker.process.poll() is None


def test_a_job_is_found_by_the_products_own_id_with_every_attempt(
    worker: Program, swapjobs: Callable[..., Streams], vendor: Sandbox
) -> None:
    vendor.faults("http_503:count=1")
    assert swapjobs("submit", *PAIR, "--business-task-id", "order-4711", "--tenant", "shop", "--wait")[0] == 0
    assert swapjobs("status", "order-4711")[::2] == (
        3,
        "error (job_not_found) no job has the id order-4711, and none of tenant default has this business_task_id\n",
    )
    status, answer, _ = swapjobs("status", "order-4711", "--tenant", "shop", "--attempts", "--json")
    job = json.loads(answer)
    first, second = job["history"]
    assert (status, job["attempts"], job["failed_attempts"]) == (0, 2, 1)
    assert (first["outcome"], first["code"], first["http_status"]) == ("failed", "vendor_error", 503)
    assert first["message"].startswith("the vendor answered 503")
    assert (second["number"], second["round"], second["outcome"]) == (2, 1, "succeeded")
    times = [datetime.fromisoformat(one[when]) for one in (first, second) for when in ("began_at", "ended_at")]
    assert times == sorted(times)
    assert second["worker"].startswith("celery@")
    status, answer, _ = swapjobs("status", "order-4711", "--tenant", "shop", "--attempts")
    shown = [line.split(maxsplit=1)[1] for line in answer.splitlines() if line.startswith("attempt ")]
    assert "failed  vendor_error  HTTP 503" in shown[0]
    assert "succeeded  HTTP 200" in shown[1]
    assert swapjobs("wait", "order-4711", "--tenant", "shop")[0] == 0
    assert swapjobs("cancel", "order-4711", "--tenant", "shop")[0] == 0
    status, _, errors = swapjobs("retry", "order-4711", "--tenant", "shop")
    assert (status, errors.startswith("error (not_retryable)")) == (1, True)
    assert swapjobs("status", "--attempts")[::2] == (2, "error (invalid_request) --attempts: needs the ID of a job\n")
    assert worker.process.poll() is None


def test_all_tenants_and_what_waits_for_each(swapjobs: Callable[..., Streams], client: SwapClient) -> None:
    for tenant, number in (("acme", 1), ("zeta", 3), ("acme", 1)):
        list(client.submit_many([make_request(tenant=tenant) for _ in range(number)]))
    client.operator.set_tenant("quiet", rate="5/s")
    client.cancel(client.list(tenant="acme").jobs[1].id)
    status, answer, _ = swapjobs("list", "--all-tenants", "--json")
    jobs = [json.loads(line) for line in answer.splitlines()]
    assert (status, Counter(job["tenant"] for job in jobs)) == (0, {"acme": 2, "zeta": 3})
    assert [job["created_at"] for job in jobs] == sorted((job["created_at"] for job in jobs), reverse=True)
    status, answer, errors = swapjobs("list", "--all-tenants", "--limit", "2", "--state", "queued")
    assert [line.split()[2] for line in answer.splitlines()] == [job["id"] for job in jobs if job["state"] == "queued"][
        :2
    ]
    assert errors == "there are more than 2: --limit or --all shows them\n"
    status, answer, _ = swapjobs("tenants", "--json")
    known = {item["tenant"]: item for item in json.loads(answer)["tenants"]}
    assert {name: item["queued"] for name, item in known.items()} == {"acme": 1, "quiet": 0, "zeta": 3}
    oldest = min(job["created_at"] for job in jobs if job["tenant"] == "zeta")
    assert (known["zeta"]["oldest_queued_at"], known["quiet"]["oldest_queued_at"]) == (oldest, None)
    status, answer, _ = swapjobs("tenants")
    assert [line.split()[:2] for line in answer.splitlines()] == [
        ["tenant", "queued"],
        ["acme", "1"],
        ["quiet", "0"],
        ["zeta", "3"],
    ]
    assert "5/s" in answer


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("own_id", ["order~4711", "long-" + "x" * 250])
def test_a_long_or_strange_own_id_is_swapped_once(client: SwapClient, vendor: Sandbox, own_id: str) -> None:
    """The vendor gets an id that is derived from it."""
    vendor.faults("lost_reply:count=1")
    job = client.wait(client.submit(make_request(business_task_id=own_id)).id, 30)
    assert (job.state, job.business_task_id) == (JobState.SUCCEEDED, own_id)
    assert vendor.get("stats")["billed"] == 1
    again = client.submit_many([make_request(business_task_id=own_id, source_url=job.source_url)])
    assert next(again).outcome in {"existing", "conflict"}
    assert client.get(own_id).id == job.id


def test_a_spreadsheets_file_is_submitted_as_it_is(
    swapjobs: Callable[..., Streams], client: SwapClient, tmp_path: Path
) -> None:
    rows = "url;Ziel;Shop;Notiz\r\nhttps://a.example/s.jpg;https://a.example/t 1.jpg;Köln;x\r\n;;;\r\n"
    (tmp_path / "jobs.csv").write_bytes(rows.encode("windows-1252"))
    own = ("--map", "url=source_url", "--map", "Ziel=target_url", "--map", "Shop=metadata.shop")
    refused = "error (invalid_request) jobs.csv: the CSV header lacks source_url, target_url (or tool and input.FIELD)"
    assert swapjobs("submit-batch", "jobs.csv")[2].startswith(refused)
    assert "names Notiz, which is unknown" in swapjobs("submit-batch", "jobs.csv", *own)[2]
    status, _, errors = swapjobs("submit-batch", "jobs.csv", *own, "--ignore-unknown")
    assert status == 1
    assert errors.startswith('line 2: is not UTF-8; save the file as "CSV UTF-8", or say which encoding it has: --enc')
    read = (*own, "--ignore-unknown", "--encoding", "windows-1252")
    status, answer, _ = swapjobs("submit-batch", "jobs.csv", *read, "--json")
    job = client.get(json.loads(answer)["id"])
    assert (status, job.target_url, job.metadata) == (0, "https://a.example/t%201.jpg", {"shop": "Köln"})
    client.cancel(job.id)
    (tmp_path / "again.csv").write_bytes(rows.replace("Notiz", "business_task_id").encode("utf-16"))
    first = json.loads(swapjobs("submit-batch", "again.csv", *own, "--json")[1])
    client.cancel(first["id"])
    assert swapjobs("retry", "--from-file", "again.csv", *own)[:2] == (0, "1 retried\n")


def test_the_id_is_told_even_when_the_wait_is_too_long(swapjobs: Callable[..., Streams], client: SwapClient) -> None:
    status, answer, errors = swapjobs("submit", *PAIR, "--wait", "--timeout", "0.2", "--json")
    job = json.loads(answer)
    assert (status, job["state"]) == (5, "queued")
    assert errors == f"error (wait_timeout) job {job['id']} is queued after 0.2 s\n"
    status, answer, errors = swapjobs("wait", job["id"], "--timeout", "0.2")
    assert (status, job["id"] in answer, job["id"] in errors) == (5, True, True)
    assert swapjobs("cancel", job["id"])[0] == 0
    assert client.get(job["id"]).state is JobState.CANCELLED
    assert swapjobs("wait", job["id"])[0] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("submit", "ftp://a", "http://b/x"), 2, "(invalid_request) source_url: must begin with http:// or https://"),
        (("submit", *PAIR, "--priority", "high"), 2, "(invalid_request) priority: must be one of interactive, bulk"),
        (
            ("submit", *PAIR, "--tool", "foo"),
            2,
            "(invalid_request) tool: with source_url and target_url it must be one of roop, v2/roop, ",
        ),
        (
            ("submit", *PAIR, "--field", "fidelity_weight=1"),
            2,
            "(invalid_request) fidelity_weight: is no field here; known are ",
        ),
        (
            ("submit", *PAIR, "--tool", "v2/roop", "--field", "fidelty_weight=1"),
            2,
            "(invalid_request) fidelty_weight: is no field here; did you mean fidelity_weight? (tool v2/roop)",
        ),
        (("submit", *PAIR, "--field", "tool=v2/roop"), 2, "(invalid_request) --field tool: "),
        (("submit", *PAIR, "--field", "x"), 2, "(invalid_request) --field 'x': write it as NAME=VALUE"),
        (("submit", *PAIR, "--metadata", "=x"), 2, "(invalid_request) --metadata '=x': write it as NAME=VALUE"),
        (("submit", *PAIR, "--expires-in", "1e300"), 2, "(usage) Invalid value for '--expires-in': "),
        (("submit", *PAIR, "--timeout", "nan"), 2, "(usage) Invalid value for '--timeout': "),
        (("submit", "http://a/\udcff", PAIR[1]), 2, "(invalid_request) the argument 'http://a/\\udcff' is not UTF-8"),
        (("submit", *PAIR, "--business-task-id", "order-1"), 2, "(idempotency_conflict) business_task_id 'order-1' "),
        (("submit", PAIR[0]), 2, "(usage) Missing argument 'TARGET_URL' (see swapjobs submit --help)"),
        (("submit", *PAIR, "--bogus"), 2, "(usage) No such option: --bogus (see swapjobs submit --help)"),
        (("list", "--all", "--limit", "2"), 2, "(invalid_request) --all and --limit: give one of them"),
        (("statsu", "x"), 2, "(usage) No such command 'statsu'"),
        (("status", "\x1b[2J\n"), 3, "(job_not_found) no job has the id \\x1b[2J\\n"),
        (("wait", "unknown"), 3, "(job_not_found) no job has the id unknown"),
        (("cancel", ""), 3, "(job_not_found) no job has the id"),
        (("submit-batch", "."), 2, "(invalid_request) .: cannot be read: Is a directory"),
        (("submit-batch", "none.csv"), 2, "(invalid_request) none.csv: cannot be read: No such file"),
        (("submit-batch", "-", "--priority", "high"), 2, "(invalid_request) priority: "),
        (("submit-batch", "-"), 2, "(invalid_request) -: is empty; "),
        (("worker", "--queues", "swap"), 2, "(invalid_settings) --queues 'swap': give swaps or webhooks"),
        (("worker", "--loglevel", "loud"), 2, "(usage) Invalid value for '--loglevel': 'loud' is not one of 'debug'"),
        (("worker", "--concurrency", "0"), 2, "(usage) Invalid value for '--concurrency': must be at least 1 (see "),
        (
            ("worker", "--concurrency", "x"),
            2,
            "(usage) Invalid value for '--concurrency': must be a whole number (see ",
        ),
        (("flower", "--port", "99999"), 2, "(usage) Invalid value for '--port': "),
    ],
)
def test_what_is_typed_wrong_is_told_in_one_line(
    arguments: tuple[str, ...],
    status: int,
    line: str,
    environment: dict[str, str],
    client: SwapClient,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """In this process, because there are many."""
    client.submit(make_request(business_task_id="order-1"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stdin", nothing)
        assert run(arguments) == status
    output = capfdbinary.readouterr()
    assert output.out == b""
    assert output.err.decode().startswith(f"error {line}")
    assert output.err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("settings", "status", "line"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, 4, "error (queue_unavailable) Redis cannot be reached: "),
        ({"REDIS_URL": "redis://u:hush@{redis}/0"}, 4, "error (queue_unavailable) Redis cannot be reached: "),
        ({"REDIS_URL": "redis://{redis}/9999"}, 4, "error (queue_unavailable) Redis refused: DB index"),
        ({"REDIS_URL": "http://hush"}, 2, "error (invalid_settings) SWAPJOBS_REDIS_URL: must begin with redis://"),
        ({"BOGUS": "hush"}, 3, "warning unknown setting SWAPJOBS_BOGUS in the environment is ignored\nerror (job_not"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(
    settings: dict[str, str], status: int, line: str, swapjobs: Callable[..., Streams], redis_url: str
) -> None:
    server = redis_url.removeprefix("redis://").removesuffix("/0")
    ended, result, errors = swapjobs(
        "status", "x", **{f"SWAPJOBS_{name}": value.format(redis=server) for name, value in settings.items()}
    )
    assert (ended, result) == (status, "")
    assert errors.startswith(line)
    assert errors.count("\n") == line.count("\n") + 1
    assert "hush" not in errors


def test_an_unknown_name_in_the_env_file_is_refused(swapjobs: Callable[..., Streams], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SWAPJOBS_BOGUS=1\n", encoding="utf-8")
    status, _, errors = swapjobs("status", "x")
    assert status == 2
    assert errors.startswith("error (invalid_settings) .env: unknown setting SWAPJOBS_BOGUS; known are ")
    assert errors.count("\n") == 1


def test_a_batch_keeps_the_good_lines_and_tells_the_bad_ones_in_order(
    swapjobs: Callable[..., Streams], client: SwapClient, tmp_path: Path
) -> None:
    good = [f"http://a.example/s{number},http://a.example/t{number},b-{number}" for number in range(250)]
    lines = ["source_url,target_url,business_task_id", *good]
    lines[3:3] = ['"http://a.example/s,http://a.example/t,open', "http://a.example/s,nonsense,b-x", "", "a,b,c,d"]
    (tmp_path / "jobs.csv").write_text("\n".join(lines), encoding="utf-8")
    status, answer, errors = swapjobs("submit-batch", "jobs.csv", "--tenant", "shop", "--json")
    assert status == 1
    assert [line.partition(":")[0] for line in errors.splitlines()] == ["line 4", "line 5", "line 7"]
    result = [json.loads(line) for line in answer.splitlines()]
    assert [item["line"] for item in result] == [number for number in range(2, 256) if number != 6]
    assert [item["outcome"] for item in result].count("created") == 250
    job = client.get(result[-1]["id"])
    assert (job.business_task_id, job.tenant, job.priority) == ("b-249", "shop", "bulk")
    status, answer, _ = swapjobs("submit-batch", "-", "--tenant", "shop", stdin="\n".join(lines).encode())
    assert (status, answer) == (1, "253 jobs: 0 created, 250 existing, 0 conflict, 3 invalid\n")


def test_json_lines_from_a_pipe(swapjobs: Callable[..., Streams]) -> None:
    row = {"source_url": PAIR[0], "target_url": PAIR[1], "business_task_id": "j-1", "metadata": {"a": [1]}}
    other = {**row, "target_url": "http://other.example/"}
    half = {**row, "business_task_id": "j-2", "metadata": {"a": "\ud800"}}
    lines = "\n".join(json.dumps(item) for item in (row, row, other, half))
    status, result, errors = swapjobs("submit-batch", "-", stdin=lines.encode())
    assert (status, result) == (1, "4 jobs: 1 created, 1 existing, 1 conflict, 1 invalid\n")
    assert errors.splitlines() == [
        "line 3: business_task_id 'j-1' was already used for a different request by tenant 'default'",
        "line 4: is not JSON: holds half of a surrogate pair",
    ]


def on_a_terminal(
    command: list[str], *, cwd: Path, env: dict[str, str], interrupt_at: bytes = b""
) -> tuple[int, bytes]:
    """Run the command with a terminal as all its streams; Ctrl-C is typed when it has shown `interrupt_at`."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(command[0], command, env)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65_536)
        except OSError:  # how Linux tells the end of a terminal
            break
        if interrupt_at and interrupt_at in shown:
            interrupt_at = b""
            os.write(terminal, b"\x03")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_a_terminal_shows_progress_and_ctrl_c_tells_what_is_kept(environment: dict[str, str], tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["source_url", "target_url", "business_task_id"])
        rows.writerows([*PAIR, f"big-{number}"] for number in range(200_000))
    command = [sys.executable, "-m", "swapjobs", "submit-batch", "big.csv"]
    env = {**os.environ, **environment, "COLUMNS": "80", "TERM": "xterm"}  # noqa: TID251 - for a child process
    status, shown = on_a_terminal(command, cwd=tmp_path, env=env, interrupt_at=b"00 lines")
    assert status == 130
    assert b"submitting" in shown
    assert b"stopped after about line " in shown
    assert b"0 invalid; what was accepted is kept; the same command goes on there" in shown
    assert b"/s" in shown
    assert b" queued" in shown
    assert b"Traceback" not in shown


def test_ctrl_c_while_waiting_tells_how_to_go_on(program: Callable[..., Program], client: SwapClient) -> None:
    job = client.submit(make_request())
    waiting = program("swapjobs", "wait", job.id)
    subscribers: Any = client._store.redis.pubsub_channels  # noqa: SLF001 - to see that it waits
    wait_until(subscribers)
    assert waiting.end(signal.SIGINT) == 130
    assert waiting.output == f"stopped waiting; the job goes on: swapjobs wait {job.id}\n"


def test_a_reader_that_closes_early_and_a_full_disk_are_no_surprise(
    environment: dict[str, str], client: SwapClient, tmp_path: Path
) -> None:
    jobs = "\n".join(json.dumps(make_request().model_dump(mode="json", exclude_defaults=True)) for _ in range(5000))
    (tmp_path / "jobs.jsonl").write_text(jobs, encoding="utf-8")
    job = client.submit(make_request())
    env = {**os.environ, **environment, "PYTHON": sys.executable}  # noqa: TID251 - for a child process
    for command, status, error in [
        ('"$PYTHON" -m swapjobs submit-batch jobs.jsonl --json | head -n 1; exit ${PIPESTATUS[0]}', 141, ""),
        (f'"$PYTHON" -m swapjobs status {job.id} | true; exit ${{PIPESTATUS[0]}}', 141, ""),
        (f'"$PYTHON" -m swapjobs status {job.id} --json > /dev/full', 2, "error (system) [Errno 28] No space left"),
    ]:
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == status, command
        assert done.stderr.decode().startswith(error)
        assert done.stderr.count(b"\n") == bool(error)
