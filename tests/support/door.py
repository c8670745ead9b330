"""A gateway with a real worker behind it and the sandbox behind that: what stands where the vendor was."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import redis

from support.fleet import WORKER
from support.processes import SECRET, Program, Sandbox
from swapjobs import SwapClient
from swapjobs.settings import CoreSettings, WorkerSettings
from swapjobs.store import keys
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapsandbox.processes.server_process import sandbox
from swapworker.vendor_client.client import VendorClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_ID, KEY_SECRET = "shop", "the-key-secret-of-the-shop"
ACCOUNT: Final = ("the-account-of-the-tests", "the-secret-of-the-account")


@dataclass
class Side:
    """Something that speaks the vendor's API, the vendor behind it, and the credentials that it takes."""

    url: str
    vendor: Sandbox
    key_id: str
    key_secret: str

    def client(self, **settings: Any) -> VendorClient:
        """Return our own client of it."""
        credentials = {"api_key_id": self.key_id, "api_key_secret": self.key_secret}
        return VendorClient(WorkerSettings(**{"api_url": self.url, **credentials, **settings}))

    @property
    def headers(self) -> dict[str, str]:
        """The credentials as other clients send them."""
        return {"X-Request-req-accessKeyId": self.key_id, "X-Request-req-accessKeySecret": self.key_secret}


@contextlib.contextmanager
def vendor_side() -> Iterator[Side]:
    """Run the sandbox alone."""
    with sandbox("--no-swap", "--key-id", ACCOUNT[0], "--key-secret", ACCOUNT[1]) as server:
        vendor = Sandbox(server)
        yield Side(server.url, vendor, *ACCOUNT)
        vendor.close()


@dataclass
class Door(Side):
    """The gateway's programs and its Redis."""

    environment: dict[str, str]
    folder: Path
    gateway: Program
    worker: Program

    def jobs(self) -> SwapClient:
        """Return a client of the queue behind the door."""
        return SwapClient(CoreSettings(redis_url=self.environment["SWAPJOBS_REDIS_URL"]))

    def expire(self, job_id: str) -> None:
        """Let the record's time to live be over now."""
        with redis.Redis.from_url(self.environment["SWAPJOBS_REDIS_URL"]) as client:
            assert client.ttl(keys.job(job_id)) > 0
            client.delete(keys.job(job_id))

    @contextlib.contextmanager
    def gateway_with(self, **settings: str) -> Iterator[Side]:
        """Run one more gateway, with other settings."""
        url = f"http://127.0.0.1:{free_port()}"
        with _gateway(url, self.folder, {**self.environment, **settings}).wait_for("gateway ready"):
            yield Side(url, self.vendor, self.key_id, self.key_secret)

    def start_gateway(self) -> Program:
        """Start a gateway in the place of one that has ended."""
        self.gateway = _gateway(self.url, self.folder, self.environment)
        return self.gateway

    def start_worker(self) -> Program:
        """Start a worker in the place of one that has ended."""
        self.worker = _worker(self.folder, self.environment)
        return self.worker


@contextlib.contextmanager
def door_side(folder: Path, **settings: str) -> Iterator[Door]:
    """Run the whole of it; its account at the sandbox is not the key of its own callers."""
    with contextlib.ExitStack() as stack:
        side = stack.enter_context(vendor_side())
        server = stack.enter_context(EmbeddedRedis(folder))
        environment = {
            "SWAPJOBS_REDIS_URL": server.url,
            "SWAPJOBS_API_URL": side.url,
            "SWAPJOBS_API_KEY_ID": side.key_id,
            "SWAPJOBS_API_KEY_SECRET": side.key_secret,
            "SWAPJOBS_RATE_LIMIT": "200/s",
            "SWAPJOBS_CONCURRENCY": "8",
            "SWAPJOBS_CALL_TIMEOUT_S": "3",
            "SWAPJOBS_RETRY_BASE_S": "0.2",
            "SWAPJOBS_RETRY_CAP_S": "1",
            "SWAPJOBS_POLL_BASE_S": "0.3",
            "SWAPJOBS_LEASE_S": "3",
            "SWAPJOBS_WEBHOOK_SECRETS": SECRET,
            "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "SWAPJOBS_GATEWAY_KEYS": f"{KEY_ID}:{KEY_SECRET},other:{KEY_SECRET}-too",
            "SWAPJOBS_GATEWAY_KEY_RATE": "10000/s",
            **settings,
        }
        url = f"http://127.0.0.1:{free_port()}"
        programs = _gateway(url, folder, environment), _worker(folder, environment)
        door = Door(url, side.vendor, KEY_ID, KEY_SECRET, environment, folder, *programs)
        # those of that time: they may have been started again
        stack.callback(lambda: door.worker.__exit__())  # noqa: PLW0108
        stack.callback(lambda: door.gateway.__exit__())  # noqa: PLW0108
        for program, text in zip(programs, ("gateway ready", "ready."), strict=True):
            program.wait_for(text)
        yield door


def _worker(folder: Path, environment: dict[str, str]) -> Program:
    return Program(*WORKER, "inner@%h", cwd=folder, env=environment)


def _gateway(url: str, folder: Path, environment: dict[str, str]) -> Program:
    port = url.rpartition(":")[2]
    return Program("swapjobs", "gateway", "--port", port, cwd=folder, env=environment)
