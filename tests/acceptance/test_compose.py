"""docker-compose.yml: what it says, and that each service does it (as a process: that needs no engine)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
import yaml

from conftest_acceptance import Program
from factories import wait_until
from swapjobs.settings import PREFIX, CoreSettings, GatewaySettings, WorkerSettings, known_names
from swapsandbox.redis_server import find_server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
OURS = ("worker", "webhook-worker", "gateway", "flower", "sandbox")
GATEWAY_KEY = "acme:a-key-of-the-tests-of-compose"


@pytest.fixture(scope="session")
def services() -> dict[str, Any]:
    """The services as they stand in the file."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = document["services"]
    return found


def compose(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Let the compose client read the file, with nothing but `environment`."""
    (folder / "empty.env").touch()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251 - of the system
    return subprocess.run(
        [
            *(*compose_client(), "--file", str(ROOT / "docker-compose.yml"), "--env-file", str(folder / "empty.env")),
            *("--profile", "sandbox", "config"),
        ],
        env={**kept, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def compose_client() -> list[str]:
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plugin
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if os.environ.get("CI"):  # noqa: TID251 - CI's own variable, not a setting
        pytest.fail("no docker compose and no docker-compose on PATH: .ci/run installs it")
    pytest.skip("no docker compose and no docker-compose on PATH: docker-compose.yml is not read by its client")


def test_the_compose_client_accepts_the_file_and_passes_settings_on(tmp_path: Path) -> None:
    read = compose(tmp_path, FLOWER_BASIC_AUTH="me:password", SWAPJOBS_MAX_ATTEMPTS="3")
    assert read.returncode == 0, read.stderr
    found = yaml.safe_load(read.stdout)["services"]
    assert found.keys() == {"redis", *OURS}
    for name in ("worker", "webhook-worker"):
        assert found[name]["environment"]["SWAPJOBS_MAX_ATTEMPTS"] == "3"
    assert found["flower"]["environment"]["FLOWER_BASIC_AUTH"] == "me:password"
    # one client writes 127.0.0.1:5555:5555/tcp, the other {host_ip: 127.0.0.1, ...}
    hosts = {
        name: [port["host_ip"] if isinstance(port, dict) else port.partition(":")[0] for port in service["ports"]]
        for name, service in found.items()
        if service.get("ports")
    }
    assert hosts == {name: ["127.0.0.1"] for name in ("gateway", "flower", "sandbox")}
    assert all(service["healthcheck"]["test"] for service in found.values())


@pytest.mark.parametrize("environment", [{}, {"FLOWER_BASIC_AUTH": ""}], ids=["unset", "empty"])
def test_a_dashboard_without_a_password_is_refused_with_the_remedy(tmp_path: Path, environment: dict[str, str]) -> None:
    refused = compose(tmp_path, **environment)
    assert refused.returncode != 0
    assert "set FLOWER_BASIC_AUTH=user:password in .env" in refused.stderr


def test_every_setting_can_be_set_in_the_file_and_no_other(services: dict[str, Any]) -> None:
    for name in ("worker", "webhook-worker"):
        assert set(services[name]["environment"]) == settings_of(WorkerSettings)
    assert set(services["gateway"]["environment"]) == settings_of(GatewaySettings)
    named = {name for service in services.values() for name in service.get("environment", {})}
    assert {name for name in named if name.startswith("SWAPJOBS_")} == known_names()


def settings_of(kind: type[CoreSettings]) -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in kind.model_fields}


def test_only_those_get_secrets_who_need_them(services: dict[str, Any]) -> None:
    rest = {name: set(services[name].get("environment", {})) for name in ("redis", "flower", "sandbox")}
    assert rest == {"redis": set(), "flower": {"SWAPJOBS_REDIS_URL", "FLOWER_BASIC_AUTH"}, "sandbox": set()}
    at_gateway = {name for name in services["gateway"]["environment"] if "SECRET" in name or "API_KEY" in name}
    assert at_gateway == {"SWAPJOBS_WEBHOOK_MASTER_SECRET"}


@pytest.fixture
def redis_process(services: dict[str, Any], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The service `redis`: a server with the options of the file, and its address."""
    options = [option.replace("${REDIS_MAXMEMORY:-1gb}", "1gb") for option in services["redis"]["command"]]
    assert options.pop(0) == "valkey-server"
    port = free_port()
    (tmp_path / "data").mkdir()
    place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path / "data")]
    process = subprocess.Popen([find_server(), *options, *place], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        with redis.Redis(port=port) as client:
            wait_until(lambda: pings(client), what="Redis answers")
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(15)


def pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def test_redis_keeps_what_was_accepted(redis_process: tuple[subprocess.Popen[bytes], str]) -> None:
    with redis.Redis.from_url(redis_process[1], decode_responses=True) as client:
        kept: Any = client.config_get("append*", "maxmemory*", "save")
    expected = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
    assert {name: kept[name] for name in expected} == expected
    assert int(kept["maxmemory"]) == 2**30


class Service(Program):
    """A service of the file as a process of this machine: its command, environment and health check."""

    def __init__(self, service: dict[str, Any], redis_url: str, folder: Path) -> None:
        self.alive_file = folder / "alive"
        self._check: list[str] = service["healthcheck"]["test"]
        port = free_port()
        # The port inside the container is the last part of 127.0.0.1:5555:5555.
        self._ports = {published.rpartition(":")[2]: str(port) for published in service.get("ports", [])}
        loopback = {"0.0.0.0": "127.0.0.1"}
        command = [{**self._ports, **loopback}.get(word, word) for word in service["command"]]
        if self._ports and "--port" not in command:
            command += ["--port", str(port)]
        values = {
            "SWAPJOBS_REDIS_URL": redis_url,
            "SWAPJOBS_ALIVE_FILE": str(self.alive_file),
            "FLOWER_BASIC_AUTH": "me:password",
            "SWAPJOBS_GATEWAY_KEYS": GATEWAY_KEY,  # without one it listens on loopback only
        }
        named = service.get("environment", {})
        given = [name for name, value in named.items() if value is not None or name == "SWAPJOBS_GATEWAY_KEYS"]
        super().__init__("swapjobs", *command, cwd=folder, env={name: values[name] for name in given})

    def is_healthy(self) -> bool:
        """Ask as the engine would."""
        assert self.process.poll() is None, self.output[-4000:]
        kind, *words = self._check
        if kind == "CMD-SHELL":
            (text,) = words
            # $$ is how the file writes one $
            words = ["sh", "-c", text.replace("$$", "$").replace("/tmp/alive", str(self.alive_file))]
        else:
            assert (kind, words[0]) == ("CMD", "python")
            words[0] = sys.executable
            for inside, here in self._ports.items():
                words[-1] = words[-1].replace(f":{inside}/", f":{here}/")
        return subprocess.run(words, capture_output=True, check=False, timeout=10).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_each_service_becomes_healthy_and_ends_in_order(
    services: dict[str, Any], redis_process: tuple[subprocess.Popen[bytes], str], tmp_path: Path, name: str
) -> None:
    with Service(services[name], redis_process[1], tmp_path) as service:
        assert not service.is_healthy()
        wait_until(service.is_healthy, deadline_s=30, what=f"{name} is healthy")
        assert service.end() == 0, service.output[-4000:]


def test_a_worker_without_redis_does_not_count_as_healthy(
    services: dict[str, Any], redis_process: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    """Its file is touched every 5 s: one that is 9 s old missed a touch. The wait for 20 s is cut short."""
    server, url = redis_process
    with Service(services["worker"], url, tmp_path) as service:
        wait_until(service.is_healthy, deadline_s=30, what="the worker is healthy")
        server.send_signal(signal.SIGSTOP)
        wait_until(lambda: age_s(service.alive_file) > 9, deadline_s=25, what="the file grows old")
        os.utime(service.alive_file, (time.time() - 20, time.time() - 20))
        assert not service.is_healthy()
        server.send_signal(signal.SIGCONT)
        wait_until(service.is_healthy, deadline_s=25, what="the worker is healthy again")
        assert service.end() == 0, service.output[-4000:]


def age_s(file: Path) -> float:
    return time.time() - file.stat().st_mtime
