"""docker-compose.yml: what it says, and that each service does it (as a process: that needs no engine)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import redis
import yaml

from support.builders import wait_until
from support.missing import missing
from support.paths import ROOT
from support.processes import Program
from swapjobs.settings import PREFIX, GatewaySettings, known_names
from swapsandbox.processes.redis_server import find_server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MONITORING = {"prometheus", "alertmanager", "grafana"}
OURS = ("worker", "webhook-worker", "gateway", "flower", "sandbox")
OLDEST_COMPOSE = (2, 24)  # knows `required: false`
GATEWAY_KEY = "acme:a-key-of-the-tests-of-compose"


class OnceOnly(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, as YAML 1.2 (3.2.1.1) has it and PyYAML does not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = sorted(key for key, times in Counter(keys).items() if times > 1)
        assert not twice, f"twice in one mapping, near line {node.start_mark.line + 1}: {twice}"
        return super().construct_mapping(node, deep=deep)


@pytest.fixture(scope="session")
def services() -> dict[str, Any]:
    """The services as they stand in the file."""
    document = yaml.load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"), Loader=OnceOnly)
    result: dict[str, Any] = document["services"]
    return result


def compose(
    folder: Path, *profiles: str, settings: Mapping[str, str] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Let the compose client read a copy of the file, with `settings` as its .env and nothing but `environment`."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    if settings is not None:
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251 - of the system
    return subprocess.run(
        [*compose_client(), *(f"--profile={profile}" for profile in profiles), "config"],
        cwd=folder,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@cache
def compose_client() -> list[str]:
    """Return the command of a Compose that is current: older ones let through what these refuse."""
    for client in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(client[0]) is None:
            continue
        output = subprocess.run([*client, "version", "--short"], capture_output=True, text=True, check=False)
        match = re.match(r"v?(\d+)\.(\d+)", output.stdout)
        if output.returncode == 0 and match and (int(match[1]), int(match[2])) >= OLDEST_COMPOSE:
            return client
    return missing("current Compose")


@pytest.mark.parametrize("profiles", [(), ("sandbox",), ("monitoring",)])
def test_a_current_compose_accepts_the_file_with_every_profile(tmp_path: Path, profiles: tuple[str, ...]) -> None:
    """Without a .env, with nothing but the dashboard's password: as on a new machine."""
    read = compose(tmp_path, *profiles, FLOWER_BASIC_AUTH="me:password")
    assert (read.returncode, read.stderr) == (0, "")
    result = yaml.safe_load(read.stdout)["services"]
    of_profiles = {"sandbox": {"sandbox"}, "monitoring": MONITORING}
    others = {name for profile, names in of_profiles.items() if profile not in profiles for name in names}
    assert result.keys() == {"redis", *OURS, *MONITORING} - others
    assert all(service["healthcheck"]["test"] for service in result.values())


def test_all_profiles_of_the_file_are_tried(services: dict[str, Any]) -> None:
    assert {profile for service in services.values() for profile in service.get("profiles", [])} == {
        "sandbox",
        "monitoring",
    }


def test_what_monitors_reads_files_that_are_there_and_asks_a_port_that_is_open(services: dict[str, Any]) -> None:
    for name in MONITORING:
        for source in (volume.partition(":")[0] for volume in services[name]["volumes"]):
            assert source.startswith("prometheus-data") or (ROOT / source).exists(), source
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])
    config = yaml.safe_load((ROOT / "ops/monitoring/prometheus.yml").read_text(encoding="utf-8"))
    (asked,) = config["scrape_configs"][0]["static_configs"][0]["targets"]
    service, _, port = asked.partition(":")
    assert services[service]["environment"]["SWAPJOBS_HEALTH_PORT"] == port


def test_settings_are_read_from_env_and_go_to_those_who_need_them(tmp_path: Path) -> None:
    settings = {
        "FLOWER_BASIC_AUTH": "me:password",
        "SWAPJOBS_MAX_ATTEMPTS": "3",
        "SWAPJOBS_API_KEY_SECRET": "the-vendor's-secret",
        "SWAPJOBS_GATEWAY_MAX_QUEUED": "7",
        "SWAPJOBS_REDIS_URL": "redis://127.0.0.1:1/0",
    }
    read = compose(tmp_path, "sandbox", settings=settings)
    assert (read.returncode, read.stderr) == (0, "")
    result = yaml.safe_load(read.stdout)["services"]
    for name in ("worker", "webhook-worker"):
        assert (
            result[name]["environment"].items()
            >= {
                "SWAPJOBS_MAX_ATTEMPTS": "3",
                "SWAPJOBS_API_KEY_SECRET": "the-vendor's-secret",
                "SWAPJOBS_REDIS_URL": "redis://redis:6379/0",
            }.items()
        )
    assert result["gateway"]["environment"]["SWAPJOBS_GATEWAY_MAX_QUEUED"] == "7"
    assert result["flower"]["environment"]["FLOWER_BASIC_AUTH"] == "me:password"
    knowing = {name for name, service in result.items() if "the-vendor's-secret" in str(service)}
    assert knowing == {"worker", "webhook-worker"}
    published = {
        name: [port["host_ip"] for port in service["ports"]] for name, service in result.items() if "ports" in service
    }
    assert published == {name: ["127.0.0.1"] for name in ("gateway", "flower", "sandbox")}


@pytest.mark.parametrize("settings", [{}, {"FLOWER_BASIC_AUTH": ""}], ids=["unset", "empty"])
def test_a_dashboard_without_a_password_is_refused_with_the_remedy(tmp_path: Path, settings: dict[str, str]) -> None:
    refused = compose(tmp_path, settings=settings)
    assert refused.returncode != 0
    assert "set FLOWER_BASIC_AUTH=user:password in .env" in refused.stderr


def test_every_setting_can_be_set_in_the_file(services: dict[str, Any]) -> None:
    """Workers read all of .env; the gateway what is named, since it needs no credentials of the vendor."""
    for name in ("worker", "webhook-worker"):
        assert services[name]["env_file"] == [{"path": ".env", "required": False}]
    at_gateway = {f"{PREFIX}{name.upper()}" for name in GatewaySettings.model_fields}
    assert set(services["gateway"]["environment"]) == at_gateway
    named = {name for service in services.values() for name in service.get("environment", {})}
    assert {name for name in named if name.startswith(PREFIX)} <= known_names()


def test_only_those_get_secrets_who_need_them(services: dict[str, Any]) -> None:
    rest = {name: set(services[name].get("environment", {})) for name in ("redis", "flower", "sandbox")}
    of_flower = {"SWAPJOBS_REDIS_URL", "SWAPJOBS_CONSOLE_URL", "FLOWER_BASIC_AUTH"}
    assert rest == {"redis": set(), "flower": of_flower, "sandbox": set()}
    assert all("env_file" not in services[name] for name in ("gateway", *rest))
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
        stored: Any = client.config_get("append*", "maxmemory*", "save")
    expected = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "save": ""}
    assert {name: stored[name] for name in expected} == expected
    assert int(stored["maxmemory"]) == 2**30


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
            "SWAPJOBS_HEALTH_PORT": str(port),
            "SWAPJOBS_HEALTH_HOST": "127.0.0.1",
            "FLOWER_BASIC_AUTH": "me:password",
            "SWAPJOBS_CONSOLE_URL": "http://127.0.0.1:8780/console/",
            "SWAPJOBS_FLOWER_URL": "http://127.0.0.1:5555",
            "SWAPJOBS_GATEWAY_KEYS": GATEWAY_KEY,  # without one it listens on loopback only
        }
        named = service.get("environment", {})
        given = [name for name, value in named.items() if value is not None or name == "SWAPJOBS_GATEWAY_KEYS"]
        self.was_healthy = self._answers()  # before it is there: a gateway may be ready sooner than the check
        super().__init__("swapjobs", *command, cwd=folder, env={name: values[name] for name in given})

    def is_healthy(self) -> bool:
        """Ask as the engine would."""
        assert self.process.poll() is None, self.output[-4000:]
        return self._answers()

    def _answers(self) -> bool:
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
        assert not service.was_healthy
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
