"""The dashboard, as a person on call and a script see it: its HTTP API, and its pages in a real browser."""

from __future__ import annotations

import contextlib
import re
import subprocess
from html import unescape
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis
from celery import Celery

from support.browser import find_browser
from support.builders import make_request, wait_until
from support.processes import Program, finished
from swapjobs import SwapClient
from swapjobs.settings import WorkerSettings
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import Sandbox

USER, PASSWORD = "on-call", "only-for-tests"
WORKER = ("celery", "-A", "swapworker.app", "worker", "-l", "info", "-E")
# What the tasks page asks for.
TABLE = {"draw": "1", "start": "0", "length": "50", "order[0][column]": "0", "columns[0][data]": "received"}
NO_FACE = "status_2:msg=TARGET_NO_FACE: no face found"


def start_flower(program: Callable[..., Program], *options: str, **settings: str) -> tuple[Program, str]:
    """Start the dashboard and return it with its address."""
    port = free_port()
    flower = program("swapjobs", "flower", "--port", str(port), *options, **settings)
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(flower, f"{url}/healthcheck"), deadline_s=30, what="Flower answers")
    return flower, url


def answers(program: Program, url: str) -> bool:
    assert program.process.poll() is None, program.output[-4000:]
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def board_of(program: Callable[..., Program], **settings: str) -> Iterator[httpx.Client]:
    """Start a worker and the dashboard; begin when the dashboard hears the worker."""
    program(*WORKER, **settings).wait_for("ready.")
    _, url = start_flower(program, FLOWER_BASIC_AUTH=f"{USER}:{PASSWORD}", **settings)
    with httpx.Client(base_url=url, auth=(USER, PASSWORD), trust_env=False, timeout=10) as board:
        wait_until(lambda: board.get("/workers", params={"json": "true"}).json()["data"], what="a heartbeat was heard")
        yield board


@pytest.fixture
def board(program: Callable[..., Program]) -> Iterator[httpx.Client]:
    with board_of(program, SWAPJOBS_CONSOLE_URL="http://127.0.0.1:8780/console/?a=1&b") as board:
        yield board


def seen(board: httpx.Client, job_id: str, state: str) -> dict[str, Any]:
    """Return what the dashboard knows of a task once it is in this state."""

    def known() -> dict[str, Any]:
        task: dict[str, Any] = board.get("/api/tasks").raise_for_status().json().get(job_id, {})
        return task if task.get("state") == state else {}

    return wait_until(known, what=f"{job_id} is shown as {state}")


def test_the_api_tells_how_each_task_stands_and_why(board: httpx.Client, client: SwapClient, vendor: Sandbox) -> None:
    done = seen(board, finished(client, client.submit(make_request()).id).id, "SUCCESS")
    assert (done["name"], done["exception"]) == ("swapjobs.swap", None)
    assert done["runtime"] > 0
    assert done["worker"].startswith("celery@")

    vendor.faults(NO_FACE)
    failed = seen(board, finished(client, client.submit(make_request()).id).id, "FAILURE")
    assert "no_face: TARGET_NO_FACE: no face found" in failed["exception"]

    vendor.faults("http_429:retry_after=2,count=1")
    throttled = client.submit(make_request()).id
    assert "rate_limited: the vendor answered 429" in seen(board, throttled, "RETRY")["exception"]
    assert seen(board, throttled, "SUCCESS")["result"] == "'succeeded'"

    vendor.faults("http_503:count=1")
    again = seen(board, finished(client, client.submit(make_request()).id).id, "SUCCESS")
    assert again["retried"] < again["succeeded"]
    assert "vendor_error: the vendor answered 503" in again["exception"]
    rows = {row["uuid"]: row for row in board.get("/tasks/datatable", params=TABLE).json()["data"]}
    assert [rows[task["uuid"]]["exception"] for task in (done, again)] == [None, None], "nothing is wrong with them"
    assert rows[failed["uuid"]]["exception"] == "no_face: TARGET_NO_FACE: no face found"
    assert failed["traceback"] is None


def test_its_figures_are_those_of_the_jobs(
    board: httpx.Client, client: SwapClient, hooks: httpx.Client, tmp_path: Path
) -> None:
    """Queued as `swapjobs status` says it, and webhooks are not counted among the jobs."""
    for _ in range(2):
        finished(client, client.submit(make_request(callback_url=f"{hooks.base_url}/in")).id, hook=True)
    (worker,) = board.get("/workers", params={"json": "true"}).json()["data"]
    wait_until(lambda: board.get("/workers", params={"json": "true"}).json()["data"][0].get("task-succeeded") == 2)

    def delivered() -> list[tuple[str, str | None]]:
        tasks = board.get("/api/tasks").json().items()
        return [(task["state"], task["exception"]) for id_, task in tasks if id_.endswith(".webhook")]

    wait_until(lambda: delivered() == [("SUCCESS", None)] * 2)
    client.operator.pause()
    list(client.submit_many(make_request() for _ in range(300)))
    client.submit(make_request())
    queued = client.operator.status().queued
    assert (queued["bulk"], queued["interactive"]) == (300, 1)
    html = page(find_browser(), board, "/broker", tmp_path)
    assert 'href="http://127.0.0.1:8780/console/?a=1&amp;b">Jobs</a>' in html
    shown = text_of(html)
    assert "swaps: interactive 1" in shown
    assert "swaps: bulk 300" in shown
    queues = board.get("/api/queues/length").json()["active_queues"]
    assert {queue["name"]: queue["messages"] for queue in queues} == {
        "swaps: interactive": 1,
        "swaps: bulk": 300,
        "webhooks": 0,
    }
    assert worker["hostname"].startswith("celery@")


def test_what_began_before_it_was_there_has_its_name(
    program: Callable[..., Program], client: SwapClient, vendor: Sandbox
) -> None:
    program(*WORKER, SWAPJOBS_CALL_TIMEOUT_S="30").wait_for("ready.")
    vendor.faults("latency:ms=9000,count=1")
    job = client.submit(make_request()).id
    wait_until(lambda: client.get(job).state == "running")
    _, url = start_flower(program, FLOWER_BASIC_AUTH=f"{USER}:{PASSWORD}")
    with httpx.Client(base_url=url, auth=(USER, PASSWORD), trust_env=False, timeout=10) as board:
        assert seen(board, job, "SUCCESS")["name"] in {"swapjobs.swap", None}
        rows = board.get("/tasks/datatable", params=TABLE).json()["data"]
        assert {row["name"] for row in rows} == {"swapjobs.swap"}


def test_a_person_reads_in_a_browser_what_became_of_a_job(
    board: httpx.Client, client: SwapClient, vendor: Sandbox, tmp_path: Path
) -> None:
    browser = find_browser()
    done = finished(client, client.submit(make_request()).id).id
    vendor.faults(NO_FACE)
    failed = finished(client, client.submit(make_request()).id).id
    for id_, state in ((done, "SUCCESS"), (failed, "FAILURE")):  # each is told by its own slot, in a bundle of its own
        seen(board, id_, state)

    rows = rows_of(page(browser, board, "/tasks", tmp_path))
    assert rows[done].startswith(f"{done} SUCCESS swapjobs.swap"), rows
    assert rows[failed].startswith(f"{failed} FAILURE swapjobs.swap"), rows
    assert " no_face: TARGET_NO_FACE: no face found celery@" in rows[failed], rows
    details = text_of(page(browser, board, f"/task/{failed}", tmp_path))
    assert "Status FAILURE" in details
    assert "Exception no_face: TARGET_NO_FACE: no face found" in details
    assert "Traceback" not in details
    assert ".py" not in details


def page(browser: str, board: httpx.Client, path: str, folder: Path) -> str:
    """Return the page as it stands after its scripts have run."""
    url = str(board.base_url.copy_with(username=USER, password=PASSWORD)).rstrip("/")
    result = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=10000", "--dump-dom", f"{url}{path}"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def rows_of(html: str) -> dict[str, str]:
    """Return the text of each row of the tasks table by the task's id."""
    rows = re.findall(r'<tr id="([^"]+)"[^>]*>(.*?)</tr>', html, re.DOTALL)
    # On a narrow screen only the beginning of the id is shown; the page holds both.
    return {name: text_of(re.sub(r'<span class="task-uuid-short">.*?</span>', "", row)) for name, row in rows}


def test_no_secret_and_no_signed_query_is_shown_anywhere(
    program: Callable[..., Program], environment: dict[str, str], vendor: Sandbox, tmp_path: Path
) -> None:
    """Also not those of a producer that sends the request in the task's arguments, nor the password of Redis."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.config_set("requirepass", "password-of-redis")
        url = server.url.replace("redis://", "redis://:password-of-redis@")
        with board_of(program, SWAPJOBS_REDIS_URL=url) as board, SwapClient(WorkerSettings(redis_url=url)) as client:
            signed = {"source_url": "https://pictures.example/a.jpg?X-Amz-Signature=signed-for-you"}
            vendor.faults(
                "http_503:count=1", "status_2:count=1,msg=see https://x.example/?X-Amz-Signature=signed-for-you"
            )
            ids = [finished(client, client.submit(make_request(**signed)).id).id for _ in range(2)]
            ids.append(send_as_plain_celery(url, make_request(**signed).model_dump(mode="json", exclude_defaults=True)))
            vendor.faults("latency:ms=1500")
            client.submit(make_request(**signed))
            wait_until(lambda: len(client.list().jobs) == len(ids) + 1, what="that one is a job too")
            ids.append(client.get(ids[-1]).id)
            seen(board, ids[-1], "SUCCESS")

            workers = list(board.get("/api/workers", params={"refresh": "true"}).json())
            paths = ["/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/workers", "/api/task/types"]
            paths += [f"/worker/{name}" for name in workers]
            paths += [f"/{part}/{id_}" for part in ("task", "api/task/info", "api/task/result") for id_ in ids]
            shown = {path: board.get(path).text for path in paths}
            shown["rows"] = board.get("/tasks/datatable", params=TABLE).text
    assert workers
    assert ids[0] in shown["rows"]
    assert "redis://:***" in shown["/api/workers"]
    names = ("SWAPJOBS_API_KEY_ID", "SWAPJOBS_API_KEY_SECRET", "SWAPJOBS_WEBHOOK_SECRETS")
    for secret in ("password-of-redis", "signed-for-you", PASSWORD, *(environment[name] for name in names)):
        assert [path for path, text in shown.items() if secret in text] == []


def send_as_plain_celery(redis_url: str, request: dict[str, Any]) -> str:
    with Celery(broker=redis_url) as plain:
        plain.conf.task_default_queue = "swaps"
        return str(plain.send_task("swapjobs.swap", kwargs=request).id)


def test_with_a_password_nothing_but_health_and_counts_is_open(program: Callable[..., Program]) -> None:
    _, url = start_flower(program, FLOWER_BASIC_AUTH=f"{USER}:{PASSWORD}")
    with httpx.Client(base_url=url, trust_env=False) as stranger:
        paths = ("/", "/tasks", "/workers", "/broker", "/tasks/datatable", "/api/tasks", "/api/workers", "/healthcheck")
        assert [stranger.get(path).status_code for path in paths] == [401] * 7 + [200]
        assert stranger.get("/tasks", auth=(USER, "guessed")).status_code == 401
        assert stranger.post("/api/task/revoke/x").status_code == 401


def test_without_a_password_it_is_for_this_machine_only(program: Callable[..., Program]) -> None:
    _, url = start_flower(program)
    assert httpx.get(f"{url}/tasks", trust_env=False).status_code == 200
    worker = program(*WORKER).wait_for("ready.")
    (name,) = wait_until(lambda: httpx.get(f"{url}/workers?json=true", trust_env=False).json()["data"])
    assert worker.process.poll() is None
    details = httpx.get(f"{url}/worker/{name['hostname']}", trust_env=False).text
    assert "worker-shutdown" not in details, "no button that would be answered with 401"
    assert httpx.get(f"{url}/api/tasks", trust_env=False).status_code == 401
    refused = program("swapjobs", "flower", "--port", str(free_port()), "--address", "0.0.0.0")
    assert refused.process.wait(30) == 1
    refused.__exit__()
    assert "set FLOWER_BASIC_AUTH=user:password" in refused.output
    assert "Traceback" not in refused.output


def test_beside_a_kubernetes_service_called_flower_it_starts(program: Callable[..., Program]) -> None:
    """Kubernetes then sets FLOWER_PORT, which Flower would read as its own option."""
    service = {"FLOWER_PORT": "tcp://10.0.0.1:5555", "FLOWER_SERVICE_HOST": "10.0.0.1", "FLOWER_SERVICE_PORT": "5555"}
    flower, _ = start_flower(program, **service)
    assert "Traceback" not in flower.output
