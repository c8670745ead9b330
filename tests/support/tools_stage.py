"""A whole system for the tests of the tools: the sandbox that really works, a worker, a gateway that is called back."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from support.declared_tools import only_for_now
from support.fleet import WORKER
from support.paths import ROOT
from support.processes import Program, Sandbox
from swapjobs import SwapClient
from swapjobs.settings import CoreSettings
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapsandbox.processes.server_process import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "the-key-of-the-tests-of-tools"


@dataclass(frozen=True)
class Stage:
    """What the tests use.

    Attributes:
        vendor: The sandbox.
        client: Of the queue, through Redis.
        http: Of the gateway.
        environment: The settings of every program.
        folder: Where they run.
    """

    vendor: Sandbox
    client: SwapClient
    http: httpx.Client
    environment: dict[str, str]
    folder: Path

    @property
    def pictures(self) -> str:
        """Where the sample pictures are."""
        return f"{self.vendor.url}/pictures"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("tools")
    tools = shutil.copy(ROOT / "ops/tools.example.toml", folder / "tools.toml")
    with ExitStack() as stack:
        stack.enter_context(only_for_now())
        vendor = Sandbox(stack.enter_context(sandbox("--tools-file", str(tools))))
        stack.callback(vendor.close)
        redis_url = stack.enter_context(EmbeddedRedis(folder)).url
        gateway_url = f"http://127.0.0.1:{free_port()}"
        environment = {
            "SWAPJOBS_REDIS_URL": redis_url,
            "SWAPJOBS_API_URL": vendor.url,
            "SWAPJOBS_RATE_LIMIT": "100/s",
            "SWAPJOBS_CONCURRENCY": "8",
            "SWAPJOBS_POLL_BASE_S": "0.2",
            "SWAPJOBS_TOOLS_FILE": str(tools),
            "SWAPJOBS_VENDOR_CALLBACK_URL": gateway_url,
            "SWAPJOBS_GATEWAY_KEYS": f"default:{KEY}",
        }
        worker = stack.enter_context(Program(*WORKER, "tools@%h", cwd=folder, env=environment))
        port = gateway_url.rpartition(":")[2]
        gateway = stack.enter_context(Program("swapjobs", "gateway", "--port", port, cwd=folder, env=environment))
        worker.wait_for("ready.")
        gateway.wait_for("gateway ready")
        client = stack.enter_context(SwapClient(CoreSettings(redis_url=redis_url, tools_file=tools)))
        headers = {"Authorization": f"Bearer {KEY}"}
        http = stack.enter_context(httpx.Client(base_url=gateway_url, headers=headers, timeout=60, trust_env=False))
        yield Stage(vendor, client, http, environment, folder)
