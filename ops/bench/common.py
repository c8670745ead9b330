"""What the benchmarks share: a Redis, a stub vendor, workers of ours or of plain Celery, and readings of both."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import psutil
import redis
from redis_bytes import SUM, USED, by_kind, settled

from swapjobs import CoreSettings, SwapClient
from swapjobs.settings import Rate, WorkerSettings
from swapjobs.store import keys
from swapjobs.store.metrics import metrics_of
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HERE: Final = Path(__file__).parent
OURS: Final = "swapjobs"
PLAIN: Final = "plain Celery"
KINDS: Final = (OURS, PLAIN)
NO_LIMIT: Final = {"SWAPJOBS_RATE_LIMIT": "100000/s", "SWAPJOBS_RATE_BURST": "100"}
HOOKS: Final = {"SWAPJOBS_WEBHOOK_SECRETS": "whsec_" + "A" * 32, "SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
_PAGE: Final = 500
_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning")


def request(number: int, **fields: Any) -> dict[str, Any]:
    """Return a job with two URLs of 120 characters."""
    return {
        "source_url": f"https://img.example.invalid/source/{number:08d}/".ljust(120, "x"),
        "target_url": f"https://img.example.invalid/target/{number:08d}/".ljust(120, "x"),
        "business_task_id": f"biz-{number:016d}",
        **fields,
    }


def wait(condition: Callable[[], bool], what: str, seconds: float = 300, *, look_every_s: float = 0.02) -> None:
    """Wait for a condition; end the benchmark with a message if it does not come true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"gave up after {seconds:g} s: {what}")
        time.sleep(look_every_s)


class Process:
    """A child, on one core or on all; what it prints is shown only if it ends by itself."""

    def __init__(self, command: list[str], environment: dict[str, str], core: int | None, cwd: Path = HERE) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end()
        self._child = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **environment},  # noqa: TID251 - for a child
            cwd=cwd,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.handle = psutil.Process(self._child.pid)
        if core is not None:
            pin(self.handle, core)

    def check(self) -> bool:
        """Return True; end the benchmark if the child is gone."""
        if (status := self._child.poll()) is not None:
            self._output.seek(0)
            text = self._output.read().decode(errors="replace")
            raise SystemExit(f"{self._child.args!r} ended with {status}:\n{text[-3000:]}")
        return True

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._child.kill()

    def end(self) -> None:
        """End it, and with a second signal its grace."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if self._child.poll() is None:
                self._child.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(8)
        self._output.close()


def pin(handle: psutil.Process, core: int) -> None:
    """Keep a process on one core, where the system and the machine allow it."""
    if hasattr(handle, "cpu_affinity") and core < (os.cpu_count() or 1):
        handle.cpu_affinity([core])


def cpu_s(handle: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children so far."""
    return sum(sum(item.cpu_times()[:2]) for item in (handle, *handle.children(recursive=True)))


def rss_mb(handle: psutil.Process) -> float:
    """Return the resident memory of a process and its children."""
    return float(sum(item.memory_info().rss for item in (handle, *handle.children(recursive=True))) / 1e6)


class Bench:
    """A fresh Redis and a stub vendor; a context manager that ends all that was started in it.

    With `pinned` the workers get core 0, Redis and the stub core 1.
    """

    def __init__(self, *, latency_ms: float = 0, pinned: bool = False) -> None:
        self._latency_ms, self.pinned = latency_ms, pinned

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(EmbeddedRedis(self.folder))
            assert server.process is not None
            self.redis_url, self.server = server.url, psutil.Process(server.process.pid)
            if self.pinned:
                pin(self.server, 1)
            self.redis: Any = redis.Redis.from_url(server.url, decode_responses=True)
            self._raw_redis: Any = redis.Redis.from_url(server.url)
            port = free_port()
            self.api_url = f"http://127.0.0.1:{port}"
            self._http = stack.enter_context(httpx.Client(base_url=self.api_url, trust_env=False, timeout=60))
            self._stack = stack
            self.stub = self.start([str(HERE / "stub.py"), str(port), str(self._latency_ms)], core=1)
            wait(self._stub_answers, "the stub answers", 20)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stub_answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self._http.get("/_stub/count").is_success
        return not self.stub.check()

    def start(self, command: list[str], *, core: int, **environment: str) -> Process:
        """Start a child that ends with the benchmark."""
        process = Process(command, environment, core if self.pinned else None)
        self._stack.callback(process.end)
        return process

    def start_worker(self, kind: str, *, slots: int = 50, options: Sequence[str] = (), **environment: str) -> Process:
        """Start a worker of ours or of plain Celery, with more of Celery's `options`; it is not ready yet."""
        app = {OURS: ["swapworker.app", "worker", "-Q", "swaps"], PLAIN: ["plain_celery", "worker", "-P", "threads"]}
        name = f"{kind.split(maxsplit=1)[0]}-{time.monotonic_ns()}@bench"
        command = ["-m", "celery", "-A", *app[kind], "-c", str(slots), "-n", name, *_QUIET, *options]
        return self.start(command, core=0, **{**NO_LIMIT, **self.environment(kind), **environment})

    def start_receiver(self) -> tuple[str, Callable[[], int]]:
        """Start a receiver of webhooks; return its URL and how to ask for the number of those that came."""
        port = free_port()
        self.start([str(HERE / "stub.py"), str(port), "0"], core=1)
        http = self._stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60))
        return f"http://127.0.0.1:{port}/hooks/swap", lambda: int(http.get("/_stub/count").json())

    def start_webhook_worker(self, kind: str, **environment: str) -> Process:
        """Start a worker that only delivers webhooks, with as many slots as `swapjobs worker` gives them."""
        return self.start_worker(kind, slots=16, options=("-Q", "webhooks"), **HOOKS, **environment)

    def workers(self, kind: str, count: int = 1, *, slots: int = 50, **environment: str) -> list[Process]:
        """Start workers and return when all of them listen for control commands: then they are ready."""
        others = self._listeners()
        started = [self.start_worker(kind, slots=slots, **environment) for _ in range(count)]
        wait(
            lambda: all(item.check() for item in started) and self._listeners() - others >= count,
            f"{count} workers are ready",
            90,
        )
        return started

    def _listeners(self) -> int:
        return len(self.redis.client_list(_type="pubsub"))

    def environment(self, kind: str) -> dict[str, str]:
        """Return where a process of this kind finds Redis and the vendor."""
        prefix = "SWAPJOBS" if kind == OURS else "BENCH"
        return {f"{prefix}_REDIS_URL": self.redis_url, f"{prefix}_API_URL": self.api_url}

    def client(self) -> SwapClient:
        """Return a client; the caller closes it."""
        return SwapClient(CoreSettings(redis_url=self.redis_url))

    def set_rate(self, rate: str, burst: int = 1) -> None:
        """Give the fleet another limit while it runs."""
        settings = WorkerSettings(redis_url=self.redis_url, rate_limit=Rate(rate), rate_burst=burst)
        client = connect(settings)
        Store(client, settings).dispatch.set_limits(settings)
        client.close()

    def fill(self, kind: str, jobs: int, *, first: int = 0, **fields: str) -> None:
        """Submit so many bulk jobs with these `fields` (`callback_url`), as fast as this kind can."""
        if kind == OURS:
            with self.client() as client:
                exhaust(client.submit_many(request(number, **fields) for number in range(first, first + jobs)))
            return
        environment = {**os.environ, **self.environment(kind)}  # noqa: TID251 - for a child
        script = f"import plain_celery; plain_celery.fill({first}, {jobs}, **{fields!r})"
        subprocess.run([sys.executable, "-c", script], cwd=HERE, env=environment, check=True)

    def done(self, kind: str) -> int:
        """Count finished jobs: ours by the metrics, plain Celery's by its results, which alone expire.

        Whatever a record is made of, and however long it is kept. The metrics are read where they lie, since it is
        asked for many times a second: what was counted, and what is not added to it yet.
        """
        if kind == PLAIN:
            return int(self.redis.info("keyspace").get("db0", {}).get("expires", 0))
        return self._counted("jobs", b"job ")

    def delivered(self) -> int:
        """Count the webhooks that were delivered."""
        return self._counted("webhook_tries", b"webhook delivered ", ("delivered",))

    def _counted(self, name: str, observation: bytes, labels: tuple[str, ...] | None = None) -> int:
        with self._raw_redis.pipeline() as pipe:
            pipe.hgetall(keys.metrics())
            pipe.get(keys.observed())
            fields, observed = pipe.execute()
        counted = metrics_of({field.decode(): number for field, number in fields.items()}).counts.get(name, {})
        number: int = sum(counted.values()) if labels is None else counted.get(labels, 0)
        return number + (observed or b"").count(observation)

    def outcomes(self) -> Counter[str]:
        """Count finished jobs of ours by their state."""
        settings, states = CoreSettings(redis_url=self.redis_url), Counter[str]()
        with contextlib.closing(Store(connect(settings), settings)) as store:
            for (_, state, _), number in store.metrics.read().counts.get("jobs", {}).items():
                states[state] += number
        return states

    def calls(self) -> list[tuple[float, int, str]]:
        """Return when each call arrived at the stub, how it was answered, and its business id; by arrival."""
        return [(at, status, id_) for at, status, id_ in self._http.get("/_stub/calls").json()]

    def count(self) -> int:
        """Return how many calls arrived at the stub."""
        return int(self._http.get("/_stub/count").json())

    def paths(self) -> dict[str, tuple[int, int, int]]:
        """Return for each path how many calls came, of how many ids, and how many ids were called more than once."""
        return {path: tuple(numbers) for path, numbers in self._http.get("/_stub/paths").json().items()}

    def forget_calls(self) -> None:
        """Empty the stub's books."""
        self._http.delete("/_stub/calls").raise_for_status()

    def vendor(self, **mode: float | None) -> None:
        """Change how the stub answers: latency_ms, status, rate, burst."""
        self._http.put("/_stub/mode", json=mode).raise_for_status()

    # -- what Redis needs

    def redis_cpu_us(self) -> float:
        """Return the CPU time of Redis' main thread so far, without the ticks of 10 ms of a process's."""
        facts = self.redis.info("cpu")
        return float(facts["used_cpu_user_main_thread"] + facts["used_cpu_sys_main_thread"]) * 1e6

    def commands(self) -> int:
        """Return how many commands Redis has run, those inside functions too."""
        return sum(item["calls"] for item in self.redis.info("commandstats").values())

    def used_memory(self) -> int:
        """Return the bytes that Redis holds for its keys, with our functions loaded (redis_bytes.py).

        Its statistics begin anew: counters that were read before are of no use after it.
        """
        with self.client() as client:
            client.operator.status()
        return settled(self.redis)

    def bytes_per_job(self, empty: int, jobs: int, *, limit: int = 100_000) -> dict[str, float]:
        """Return what each of so many jobs takes: by `used_memory` since it was `empty`, and key by key."""
        used = self.used_memory() - empty
        sizes, _ = by_kind(self.redis, limit)
        return {name: size / jobs for name, size in {USED: used, SUM: sum(sizes.values()), **sizes}.items()}

    def forget_all(self) -> None:
        """Leave of finished jobs what is left when their time is over: tombstones; lists are pruned by then."""
        settings = CoreSettings(redis_url=self.redis_url)
        ids: list[str] = []
        cursor = None
        with self.client() as client:
            while cursor or not ids:
                page = client.list(tenant=None, cursor=cursor, limit=_PAGE)
                ids += [job.id for job in page.jobs]
                cursor = page.next_cursor
        with contextlib.closing(Store(connect(settings), settings)) as store:
            for start in range(0, len(ids), _PAGE):
                store.jobs.forget(ids[start : start + _PAGE])
        for pattern in (keys.index("*"), keys.deliveries("*")):
            for key in list(self.redis.scan_iter(pattern, count=1000)):
                self.redis.delete(key)


def exhaust(items: Iterable[Any]) -> int:
    """Run through an iterator and return how many there were."""
    return sum(1 for _ in items)
