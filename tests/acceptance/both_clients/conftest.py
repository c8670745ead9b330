"""Each test of this folder runs twice: `client` talks to Redis, or to a gateway. It must see no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.both_clients import KEY, MASTER, TENANT
from support.processes import Program
from swapjobs import SwapClient
from swapjobs.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.client.interface import JobClient
    from swapsandbox.processes.redis_server import EmbeddedRedis


@pytest.fixture(scope="module")
def gateway_url(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway for all tests here: it keeps nothing itself."""
    environment = {
        "SWAPJOBS_REDIS_URL": redis_server.url,
        "SWAPJOBS_GATEWAY_KEYS": f"{TENANT}:{KEY}",
        "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s",
        "SWAPJOBS_WEBHOOK_MASTER_SECRET": MASTER,
    }
    command = ("swapjobs", "gateway", "--port", "0")
    with Program(*command, cwd=tmp_path_factory.mktemp("gateway"), env=environment) as gateway:
        yield gateway.wait_for("gateway ready on ").output.split("gateway ready on ")[1].split()[0]


@pytest.fixture(params=["redis", "gateway"])
def client(request: pytest.FixtureRequest, environment: dict[str, str], redis_url: str) -> Iterator[JobClient]:
    """The client, one way and the other."""
    environment["SWAPJOBS_WEBHOOK_MASTER_SECRET"] = MASTER
    if request.param == "redis":
        settings = WorkerSettings.model_validate({"redis_url": redis_url, "webhook_master_secret": MASTER})
        client: JobClient = SwapClient(settings)
    else:
        client = SwapClient.from_gateway(request.getfixturevalue("gateway_url"), KEY)
    with client:
        yield client
