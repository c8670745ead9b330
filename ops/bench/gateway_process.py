"""A gateway of its own for a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from common import wait

from swapsandbox.processes.redis_server import free_port

if TYPE_CHECKING:
    from common import Bench, Process


def start_gateway(bench: Bench, **settings: str) -> tuple[Process, str]:
    """Start a gateway on the benchmark's Redis, and return it with its address when it answers."""
    port = free_port()
    environment = {"SWAPJOBS_REDIS_URL": bench.redis_url, **settings}
    server = bench.start(["-m", "swapjobs", "gateway", "--port", str(port)], core=0, **environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        server.check()
        try:
            return httpx.get(f"{url}/healthz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    wait(answers, "the gateway answers", 30)
    return server, url
