"""What a user would have, in real processes: Redis, the vendor, a webhook receiver, two swap workers, one for webhooks.

A supervisor starts again at once what has ended, as Docker's restart policy would.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from chaos.child import Child, clean_environment
from support.paths import ROOT
from swapjobs.settings import CoreSettings
from swapjobs.store.store import connect
from swapsandbox.processes.redis_server import EmbeddedRedis
from swapsandbox.processes.server_process import receiver, sandbox

if TYPE_CHECKING:
    from pathlib import Path

LEASE_S: Final = 3.0
SLOTS: Final = 16
_SECRET: Final = "whsec_" + base64.b64encode(b"a secret of the chaos run, 32 by").decode()
_READY: Final = " ready."  # Celery's own word in its log
_STOPS_WITHIN_S: Final = 30.0

SETTINGS: Final = {
    "SWAPJOBS_RATE_LIMIT": "60/s",
    "SWAPJOBS_CONCURRENCY": str(SLOTS),
    # While its disk is slow a Redis holds the append-only file back, for up to 2 s, and a kill takes that with it.
    "SWAPJOBS_SUBMIT_DURABILITY": "fsync",
    "SWAPJOBS_LEASE_S": f"{LEASE_S:g}",
    "SWAPJOBS_CALL_TIMEOUT_S": "2",
    "SWAPJOBS_MAX_ATTEMPTS": "30",
    "SWAPJOBS_RETRY_BASE_S": "0.2",
    "SWAPJOBS_RETRY_CAP_S": "1",
    "SWAPJOBS_POLL_BASE_S": "0.3",
    "SWAPJOBS_WEBHOOK_TIMEOUT_S": "3",
    "SWAPJOBS_WEBHOOK_SECRETS": _SECRET,
    "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
}

BAD_DAY: Final = (
    "latency:ms=200,jitter=100",
    "lost_reply:share=0.02",
    "http_503:share=0.03",
    "http_429:share=0.004",
    "pending:s=1,share=0.05",
    "html:share=0.01,after_work=yes",
    "reset_before:share=0.02",
    "status_2:share=0.01",
)
"""What the vendor does to its calls all the time."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A process that ended, or did not end, otherwise than it was told to."""

    name: str
    what: str
    output: str


class Stack:
    """Everything that runs; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.logs = folder / "logs"
        self.redis_server = EmbeddedRedis(folder / "redis")
        faults = [word for fault in BAD_DAY for word in ("--fault", fault)]
        self.sandbox = sandbox("--no-swap", "--seed", str(seed), *faults)
        self.receiver = receiver("--secret", _SECRET)
        self._scratch = folder / "tmp"  # kombu leaves a file behind at each lost connection
        places = {
            "SWAPJOBS_REDIS_URL": self.redis_server.url,
            "SWAPJOBS_API_URL": self.sandbox.url,
            "TMPDIR": str(self._scratch),
        }
        self.environment = clean_environment({**SETTINGS, **places}, ROOT / "tests")
        self.workers = [self._worker("swaps", 1), self._worker("swaps", 2)]
        self.hook_workers = [self._worker("webhooks", 1)]
        self.exits: list[Exit] = []
        self.redis_up = False
        # Short patience: while Redis is frozen the driver has other things to do.
        self.redis = connect(CoreSettings(redis_url=self.redis_server.url), patience_s=1)
        self._http = httpx.Client(trust_env=False, timeout=10)
        self._open = contextlib.ExitStack()

    def _worker(self, queue: str, number: int) -> Child:
        command = ["swapjobs", "worker", "--queues", queue]
        return Child(f"{queue}-{number}", command, folder=self.logs, environment=self.environment)

    @property
    def serving(self) -> bool:
        """Whether all workers have started and none is about to end."""
        return all(child.running and child.signalled is None and child.has_said(_READY) for child in self.workers)

    @property
    def children(self) -> list[Child]:
        return [*self.workers, *self.hook_workers]

    # -- Redis

    def kill_redis(self) -> None:
        assert self.redis_server.process is not None
        self.redis_up = False
        self.redis_server.process.kill()
        self.redis_server.process.wait()

    def start_redis(self) -> None:
        """Start it on the same port and the same append-only file."""
        self.redis_server.start(deadline_s=60)
        self.redis_up = True

    def freeze_redis(self) -> None:
        assert self.redis_server.process is not None
        self.redis_up = False
        self.redis_server.process.send_signal(signal.SIGSTOP)

    def thaw_redis(self) -> None:
        if self.redis_server.process is not None:
            self.redis_server.process.send_signal(signal.SIGCONT)
        self.redis_up = True

    # -- vendor and receiver

    def vendor(self, path: str, **query: str | float) -> Any:
        """Ask the sandbox's books."""
        url = f"{self.sandbox.url}/_sandbox/{path}"
        return self._http.get(url, params=query).raise_for_status().json()

    def events(self) -> Any:
        """Return what the receiver got."""
        return self._http.get(f"{self.receiver.url}/_receiver/events").raise_for_status().json()

    def plan_receiver(self, *statuses: int) -> None:
        """Let the receiver answer the first tries of each event with these, from now on."""
        plan = {"statuses": statuses}
        self._http.put(f"{self.receiver.url}/_receiver/plan", json=plan).raise_for_status()

    def freeze_receiver(self) -> None:
        self._signal_receiver(signal.SIGSTOP)

    def thaw_receiver(self) -> None:
        self._signal_receiver(signal.SIGCONT)

    def _signal_receiver(self, number: int) -> None:
        if self.receiver.pid is not None:
            os.kill(self.receiver.pid, number)

    # -- life

    def tend(self) -> None:
        """Start again what has ended, and note who ended without being told to."""
        for child in self.children:
            status = child.status
            if status is None:
                if child.signalled_at is not None and time.monotonic() - child.signalled_at > _STOPS_WITHIN_S:
                    self.exits.append(
                        Exit(child.name, f"still there {_STOPS_WITHIN_S:g} s after SIGTERM", child.tail())
                    )
                    child.end()
                continue
            # It may have died of the signal itself: of SIGTERM too, while it had not got as far as to handle it.
            if child.signalled is None or status not in {0, -child.signalled}:
                self.exits.append(Exit(child.name, f"ended with status {status}", child.tail()))
            child.start()

    def __enter__(self) -> Self:
        try:
            self.logs.mkdir(parents=True)
            self._scratch.mkdir()
            self._open.callback(self.redis_server.stop)
            self.start_redis()
            self._open.enter_context(self.sandbox)
            self._open.enter_context(self.receiver)
            for child in self.children:
                child.start()
        except BaseException:  # a Ctrl-C too: nobody else would end what was started
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children:
            child.end()
        # what is frozen does not hear SIGTERM
        self.thaw_redis()
        with contextlib.suppress(ProcessLookupError):
            self.thaw_receiver()
        self._open.close()
        self.redis.close()
        self._http.close()
