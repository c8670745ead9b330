"""Store: everything that lies in one Redis, one part for each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swapjobs.store import redis_health, wait_for_job, worker_usage
from swapjobs.store.access.api_keys import ApiKeys
from swapjobs.store.access.console_sessions import ConsoleSessions
from swapjobs.store.attempts import AttemptStore
from swapjobs.store.batches import BatchStore
from swapjobs.store.dispatch import DispatchStore
from swapjobs.store.functions import Functions, call_on_connect
from swapjobs.store.group_submit import GroupSubmit
from swapjobs.store.jobs import JobStore
from swapjobs.store.library import library
from swapjobs.store.metrics import MetricStore
from swapjobs.store.operations import retry_search
from swapjobs.store.operations.audit_log import AuditLog
from swapjobs.store.operations.by_filter import OperationStore
from swapjobs.store.product_tasks import ProductTaskStore
from swapjobs.store.redis_client import redis_client, time_ms
from swapjobs.store.tenants import TenantStore
from swapjobs.store.trends import TrendStore
from swapjobs.store.vendor.callbacks import CallbackStore
from swapjobs.store.vendor.reads import ReadStore
from swapjobs.store.webhooks.deliveries import DeliveryStore
from swapjobs.store.webhooks.endpoints import EndpointStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from swapjobs.contract.filters import RetryFilter
    from swapjobs.contract.job import Job
    from swapjobs.settings import CoreSettings
    from swapjobs.store.redis_health import Problem
    from swapjobs.store.worker_usage import Fleet, Usage


def connect(settings: CoreSettings, *, patience_s: float = 5, detect_failover: bool = False) -> redis.Redis:
    """Return a thread-safe Redis client; it connects at the first command.

    `patience_s` is how long a command may take: short for producers, whose users wait, longer for workers. Workers also
    compare the server with the one that the fleet knew (`detect_failover`), on every new connection and before any
    claim on it.
    """

    def check_server(connection: Any) -> None:
        connection.on_connect()
        call_on_connect(connection, library(), "dispatcher/check_server", settings.result_ttl_s)

    on_connect = check_server if detect_failover else None
    return redis_client(settings.redis_url, patience_s=patience_s, on_connect=on_connect)


class Store:
    """The jobs, batches, webhooks, limits and workers in one Redis; nothing else sends it a command.

    Attributes:
        jobs: Submitted, read, cancelled, retried.
        submits: Of one caller, or of several in one call.
        attempts: What workers do with jobs: claim, confirm, record the outcome.
        batches: Groups of jobs.
        deliveries: Webhooks on their way.
        product_tasks: What a product's own Celery app sent, before it is a job.
        endpoints: Where webhooks go.
        tenants: Their own limits.
        dispatch: Limits and state of the calls to the vendor, and the dispatcher's step.
        metrics: What was counted of all jobs.
        trends: The same by the minute and by the hour.
        api_keys: The gateway's keys.
        console_sessions: Who is signed in to the console.
        operations: What is done to all jobs that fit a filter.
        audit: What was changed by hand, and by whom.
        reads: Questions to the vendor that are no jobs.
        callbacks: The vendor's word that a task is done.
        functions: The Lua functions behind all these.
        redis: The client itself, for tests and for whoever closes it.
    """

    def __init__(self, client: redis.Redis, settings: CoreSettings, *, redis_time: str = "") -> None:
        functions = Functions(client, library(redis_time), settings.result_ttl_s)
        self.redis = client
        self.functions = functions
        self.jobs = JobStore(client, functions)
        self.submits = GroupSubmit(client, functions, self.jobs)
        self.attempts = AttemptStore(functions)
        self.batches = BatchStore(client, functions)
        self.deliveries = DeliveryStore(client, functions)
        self.product_tasks = ProductTaskStore(client, functions)
        self.endpoints = EndpointStore(client, functions)
        self.tenants = TenantStore(client, functions)
        self.dispatch = DispatchStore(client, functions)
        self.metrics = MetricStore(client, functions)
        self.trends = TrendStore(client)
        self.api_keys = ApiKeys(client)
        self.console_sessions = ConsoleSessions(client)
        self.operations = OperationStore(client, functions)
        self.audit = AuditLog(client, functions)
        self.reads = ReadStore(client, functions)
        self.callbacks = CallbackStore(client, functions)

    def wait(self, job_id: str, timeout_s: float, tenant: str = "default") -> Job:
        """Return the job once it is final; told by Redis, without polling. It is found as `JobStore.find` does.

        Raises:
            WaitTimeout: it is not final after `timeout_s` seconds.
            JobNotFound: there is no such job.
        """
        return wait_for_job.until_final(self.redis, self.jobs, job_id, timeout_s, tenant)

    def retry_matching(self, chosen: RetryFilter) -> Iterator[list[str]]:
        """Retry the finished jobs that are meant, block after block; yield the ids of those that are queued again."""
        retried = 0
        try:
            for block in retry_search.retry_matching(self.redis, self.jobs, chosen):
                retried += len(block)
                yield block
        finally:
            detail = {"batch_id": chosen.batch_id, "error_code": chosen.error_code, "states": sorted(chosen.states)}
            self.audit.note("job.retry_many", tenant=chosen.tenant, number=retried, detail=detail)

    def now_ms(self) -> int:
        """Return the time of Redis' clock, by which all times in the records go."""
        return time_ms(self.redis)

    def report_usage(self, worker: str, usage: Usage) -> None:
        """Write what one worker process has seen: also a sign of life."""
        worker_usage.report(self.redis, worker, usage)

    def remove_usage(self, worker: str) -> None:
        """Take a worker that stops out of the sum at once."""
        worker_usage.remove(self.redis, worker)

    def fleet(self) -> Fleet:
        """Return what the workers reported last, added up."""
        return worker_usage.read(self.redis)

    def server_facts(self) -> dict[str, str]:
        """Return version, eviction policy and persistence of the server."""
        return redis_health.server_facts(self.redis)

    def server_problems(self, *, fsync: bool = False) -> list[Problem]:
        """Return what is wrong with the server; `fsync`: also for producers who wait until jobs are on its disk."""
        return redis_health.server_problems(self.redis, fsync=fsync)

    def memory(self) -> tuple[int, int]:
        """Return how many bytes the server uses, and how many it may; 0: as many as there are."""
        return redis_health.memory(self.redis)

    def ping(self) -> None:
        """Ask whether Redis is there.

        Raises:
            redis.RedisError: it is not.
        """
        self.redis.ping()

    def warm_up(self, connections: int) -> None:
        """Make connections beforehand, so that calls don't wait while hundreds of them are made at once."""
        pool = self.redis.connection_pool
        made = [pool.get_connection() for _ in range(connections)]
        for connection in made:
            pool.release(connection)

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()
