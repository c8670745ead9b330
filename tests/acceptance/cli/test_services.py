"""The commands that run or check something: doctor, worker, flower, sandbox, demo, and the help of all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from support.builders import wait_until
from swapjobs import CoreSettings, JobNotFound, SwapClient
from swapsandbox.processes.redis_server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.processes import Program, Sandbox

NOWHERE = "127.0.0.1:1"


def states(output: str) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(output)["checks"]}


def test_the_doctor_finds_everything_well(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient, environment: dict[str, str]
) -> None:
    client._store.redis.config_set("appendonly", "yes")  # noqa: SLF001 - to make it fit
    status, output = swapjobs_cli("doctor", "--json")
    assert status == 0
    assert set(states(output).values()) == {"ok", "warning"}
    assert states(output)["workers"] == "warning"
    status, output = swapjobs_cli("doctor", COLUMNS="20")
    assert status == 0
    assert f"vendor          {environment['SWAPJOBS_API_URL']} answers (HTTP 200)\n" in output
    assert environment["SWAPJOBS_API_KEY_SECRET"] not in output
    assert environment["SWAPJOBS_WEBHOOK_SECRETS"] not in output


@pytest.mark.parametrize(
    ("settings", "status", "answer"),
    [
        ({"RATE_LIMIT": "fast"}, 2, "problem  settings        SWAPJOBS_RATE_LIMIT: must be a rate like 5/s"),
        ({"GATEWAY_KEYS": "geheimkey"}, 2, "problem  settings        SWAPJOBS_GATEWAY_KEYS: each must be tenant:key"),
        ({"CONSOLE": "ja"}, 2, "problem  settings        SWAPJOBS_CONSOLE: must be true or false"),
        ({"GATEWAY_CORS_ORIGINS": "shop.example"}, 2, "SWAPJOBS_GATEWAY_CORS_ORIGINS: each must be an origin like"),
        ({"CELERY_BROKER_URL": "127.0.0.1"}, 2, "SWAPJOBS_CELERY_BROKER_URL: must be a URL, like redis://"),
        (
            {"RATE_LIMT": "3/s"},
            0,
            "warning  settings        unknown setting SWAPJOBS_RATE_LIMT in the environment is ignored; did you mean",
        ),
        ({"REDIS_URL": f"redis://{NOWHERE}"}, 4, "problem  redis           cannot be used: "),
        ({"API_URL": f"http://{NOWHERE}"}, 1, f"problem  vendor          http://{NOWHERE} cannot be reached: "),
        ({"API_URL": "http://a..b"}, 1, "problem  vendor          http://a..b cannot be reached: "),
        (
            {"WEBHOOK_SECRETS": ""},
            0,
            "SWAPJOBS_WEBHOOK_SECRETS to what this prints: echo whsec_$(openssl rand -base64 32)\n",
        ),
        ({"API_KEY_ID": "", "API_KEY_SECRET": ""}, 0, "warning  credentials     none set\n"),
    ],
)
def test_the_doctor_says_what_is_wrong(
    settings: dict[str, str], status: int, answer: str, swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    ended, output = swapjobs_cli("doctor", **{f"SWAPJOBS_{name}": value for name, value in settings.items()})
    assert answer in output
    assert "Traceback" not in output
    assert ended == status


def test_the_doctor_knows_a_vendor_without_tls(
    swapjobs_cli: Callable[..., tuple[int, str]], environment: dict[str, str]
) -> None:
    url = environment["SWAPJOBS_API_URL"].replace("http://", "https://")
    status, output = swapjobs_cli("doctor", SWAPJOBS_API_URL=url)
    assert status == 1
    assert f"problem  vendor          {url} does not speak TLS\n" in output
    assert "-> is it http:// in SWAPJOBS_API_URL, or another port?\n" in output


def test_the_doctor_misses_the_secret_of_endpoints(
    swapjobs_cli: Callable[..., tuple[int, str]],
    client: SwapClient,  # noqa: ARG001 - empties Redis
) -> None:
    secret = {"SWAPJOBS_WEBHOOK_MASTER_SECRET": f"whsec_{'A' * 43}="}
    assert swapjobs_cli("webhooks", "add", "https://hooks.example/in", **secret)[0] == 0
    assert (
        "SWAPJOBS_WEBHOOK_MASTER_SECRET, the same for" in swapjobs_cli("doctor", SWAPJOBS_WEBHOOK_MASTER_SECRET="")[1]
    )
    assert "endpoints" not in states(swapjobs_cli("doctor", "--json", **secret)[1])


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("http://localhost:99/x", "127.0.0.1 is not public: workers refuse it unless their SWAPJOBS_WEBHOOK_ALLOWED_"),
        ("https://10.0.0.7/x", "covers it, as 10.0.0.7/32 does"),
        ("https://[::1]/x", "covers it, as ::1/128 does"),
        ("https://127.0.0.2/x", ""),
        ("https://8.8.8.8/x", ""),
        ("https://inside.example/x", ""),
    ],
)
def test_a_webhook_that_workers_will_refuse_is_warned_of(
    url: str,
    warning: str,
    swapjobs_cli: Callable[..., tuple[int, str]],
    client: SwapClient,  # noqa: ARG001 - empties Redis
) -> None:
    secret = {"SWAPJOBS_WEBHOOK_MASTER_SECRET": f"whsec_{'A' * 43}="}
    allowed = {"SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.2/32"}
    pair = ("https://any.example/s.jpg", "https://any.example/t.jpg")
    for command in (("webhooks", "add", url), ("submit", *pair, "--callback-url", url)):
        status, output = swapjobs_cli(*command, **secret, **allowed)
        assert (status, "warning: " in output, warning in output) == (0, bool(warning), True), output


def test_an_unfit_redis_is_told_by_the_doctor_and_by_the_worker(
    swapjobs_cli: Callable[..., tuple[int, str]], client: SwapClient
) -> None:
    redis = client._store.redis  # noqa: SLF001 - to make it unfit
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        status, output = swapjobs_cli("doctor")
        assert (status, "-> CONFIG SET maxmemory-policy noeviction" in output) == (4, True)
        status, output = swapjobs_cli("worker")
        assert (status, output.count("\n")) == (4, 1)
        assert output.startswith("error (queue_unavailable) Redis is not fit: the eviction policy is allkeys-lru")
    finally:
        redis.config_set("maxmemory-policy", "noeviction")


def test_the_worker_tells_a_missing_redis_in_one_line(swapjobs_cli: Callable[..., tuple[int, str]]) -> None:
    status, output = swapjobs_cli("worker", SWAPJOBS_REDIS_URL=f"redis://{NOWHERE}")
    assert (status, output.count("\n")) == (4, 1)
    assert NOWHERE in output


def test_a_worker_for_one_queue_is_celery_itself_and_warns_once(program: Callable[..., Program]) -> None:
    one = program("swapjobs", "worker", "--queues", "swaps,swaps,", SWAPJOBS_BOGUS="1").wait_for("ready.")
    assert one.output.count("unknown setting SWAPJOBS_BOGUS") == 1
    assert one.output.startswith("warning unknown setting SWAPJOBS_BOGUS in the environment is ignored\n")
    assert one.end(signal.SIGTERM) == 0


def test_a_worker_loads_no_other_command_of_celery_and_no_flower(program: Callable[..., Program]) -> None:
    """To load them was a fifth of its start. Python itself tells on standard error what it imports."""
    worker = program("swapjobs", "worker", "--queues", "swaps", PYTHONPROFILEIMPORTTIME="1").wait_for("ready.")
    loaded = {line.rpartition("|")[2].strip() for line in worker.output.splitlines() if line.startswith("import time:")}
    assert {"swapworker.app", "swapworker.runtime"} <= loaded
    assert {name for name in loaded if name.startswith(("celery.bin", "flower", "tornado", "prompt_toolkit"))} == set()
    assert worker.end(signal.SIGTERM) == 0


def test_flower_shows_its_own_options_and_serves(
    program: Callable[..., Program], swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    port = str(free_port())
    flower = program("swapjobs", "flower", "--port", port, "--basic-auth=u:p")
    status, output = swapjobs_cli("flower", "--", "--help")
    assert (status, "--basic-auth" in output) == (0, True)

    def answer() -> int:
        assert flower.process.poll() is None, flower.output
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code
        except httpx.TransportError:
            return 0

    assert wait_until(answer) == 401
    status, output = swapjobs_cli("flower", "--port", port)
    assert (status, output.count("\n")) == (2, 1)
    assert output.startswith(
        f"error (invalid_settings) can't listen on 127.0.0.1 port {port}: Address already in use; "
    )
    assert output.endswith("; choose another --port\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--port", "99999"), "error: can't listen on 127.0.0.1 port 99999: "),
        (("--host", "0.0.0.0"), "error: refusing to listen on 0.0.0.0: "),
        (("--fault", "foo"), "error: fault 'foo': unknown name; known are latency, "),
        (("--rate", "foo"), "error: not a rate: 'foo' "),
    ],
)
def test_the_sandbox_tells_a_wrong_option_in_one_line(
    arguments: tuple[str, ...], line: str, swapjobs_cli: Callable[..., tuple[int, str]]
) -> None:
    status, output = swapjobs_cli("sandbox", *arguments)
    assert (status, output.count("\n")) == (2, 1)
    assert output.startswith(line)


def test_the_sandbox_takes_its_options_and_ends_at_a_signal(program: Callable[..., Program], vendor: Sandbox) -> None:
    own = program("swapjobs", "sandbox", "--no-swap", "--port", "0", "--fault", "http_503").wait_for("sandbox ready on")
    url = own.output.split()[-1]
    assert url != vendor.url
    assert httpx.get(f"{url}/healthz", trust_env=False).json()["status"] == "ok"
    assert own.end(signal.SIGTERM) == 0


def test_version_and_help_need_no_settings_and_no_redis() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        env = {**os.environ, "SWAPJOBS_LEASE_S": "nonsense", "COLUMNS": "100"}  # noqa: TID251 - for a child process
        command = [sys.executable, "-m", "swapjobs", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    assert run("--version") == (0, f"swapjobs {version('swapjobs')}\n")
    status, output = run()
    assert (status, "Usage: swapjobs [OPTIONS] COMMAND" in output) == (2, True)
    status, output = run("submit", "--help")
    assert (status, "{SOURCE_URL} {TARGET_URL}" in output, "[default: interactive]" in output) == (0, True, True)
    for command, option in [("sandbox", "--no-swap"), ("demo", "--output"), ("worker", "--queues")]:
        status, output = run(command, "--help")
        assert (status, option in output) == (0, True)


def test_a_worker_stopped_while_it_starts_leaves_nothing_behind(program: Callable[..., Program]) -> None:
    """The signal comes at the worst moment: one child is there, the other is not."""
    worker = program("swapjobs", "worker")
    handle = psutil.Process(worker.process.pid)
    wait_until(handle.children)
    family = handle.children(recursive=True)
    worker.end()
    wait_until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family))


def test_the_embedded_redis_runs_in_the_foreground_in_a_folder_of_the_users(
    program: Callable[..., Program], tmp_path: Path
) -> None:
    port = free_port()
    redis = program("swapsandbox.processes.redis_server", "--port", str(port), "--folder", "data").wait_for(
        "redis ready on"
    )
    with SwapClient(CoreSettings(redis_url=f"redis://127.0.0.1:{port}/0")) as client, pytest.raises(JobNotFound):
        client.get("nobody")
    assert redis.end() == 0
    assert (tmp_path / "data" / "redis.log").is_file()
