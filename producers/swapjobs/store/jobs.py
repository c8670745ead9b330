"""JobStore: one typed method per atomic operation; the only caller of the scripts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import redis

from swapjobs.contract.errors import JobGone, JobNotFound, QueueFull
from swapjobs.store import fresh_urls, keys, record, tenants
from swapjobs.store.batches import BatchStore, submission
from swapjobs.store.claims import Claim, NotClaimed, Step
from swapjobs.store.deliveries import DeliveryStore
from swapjobs.store.dispatch_status import Look
from swapjobs.store.durability import on_disk
from swapjobs.store.fleet_state import limits_of
from swapjobs.store.functions import Scripts, library
from swapjobs.store.redis_client import client_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swapjobs.contract.job import Submission, SwapRequest
    from swapjobs.contract.lifecycle import Event
    from swapjobs.settings import CoreSettings, WorkerSettings
    from swapjobs.store.dispatch_status import Line
    from swapjobs.store.record import Record
    from swapjobs.store.tenants import TenantLimits

WakeKind = Literal["", "retry", "poll", "verdict"]
_ALIAS_TTL_S: Final = 40 * 86_400


def connect(settings: CoreSettings, *, patience_s: float = 5, meets: bool = False) -> redis.Redis:
    """Return a thread-safe Redis client; it connects at the first command.

    `patience_s` is how long a command may take: short for producers, whose users wait, longer for workers. Workers also
    compare the server with the one that the fleet knew (`meets`), on every new connection and before any claim on it.
    """

    def meet(connection: Any) -> None:
        connection.on_connect()
        library(settings.result_ttl_s).greet(connection, "meet")

    return client_of(settings.redis_url, patience_s=patience_s, greet=meet if meets else None)


class JobStore(BatchStore, DeliveryStore):
    """The records, lines and traffic state in one Redis."""

    def __init__(self, client: redis.Redis, settings: CoreSettings, *, clock: str = "") -> None:
        super().__init__(client, Scripts(client, library(settings.result_ttl_s, clock)))
        self._alias_ttl_s = settings.result_ttl_s + _ALIAS_TTL_S

    # -- producers

    def submit(self, requests: Iterable[SwapRequest], *, durably: bool = False) -> list[Submission]:
        """Accept jobs in one step; each gets its own outcome.

        `durably`: return when they are on Redis' disk. Workers, who record what Celery brought, have nobody to tell.

        Raises:
            QueueFull: Redis is at its memory limit; none was accepted.
            QueueUnavailable: `durably`, and they were accepted but are not known to be on disk.
        """
        asked = list(requests)
        ids, args = record.packed(asked, fresh_urls.until_of)
        if not ids:
            return []
        if durably:
            what = f"job {ids[0]} was" if len(ids) == 1 else f"{len(ids)} jobs were"
            queue = partial(self._scripts.queue, name="submit", args=args)
            outcomes = self._scripts.with_library(lambda: on_disk(self.redis, queue, what))
        else:
            outcomes = self._scripts.run("submit", *args)
        if "full" in outcomes:
            raise QueueFull
        fresh_urls.take(self, [each for *each, told in zip(ids, asked, outcomes, strict=True) if told == "existing"])
        return [submission(id_, told) for id_, told in zip(ids, outcomes, strict=True)]

    def submit_one(self, request: SwapRequest, *, durably: bool = False) -> tuple[str, Record | None]:
        """Accept one job; return the outcome and the job that now has its id, in one round trip unless `durably`.

        The outcome `closed` comes without a job: its batch takes no more.

        Raises as `submit` and `get` do.
        """
        if durably:
            (told,) = self.submit([request], durably=True)
            return (told.outcome, self.get(told.id)) if told.id else ("closed", None)
        (id_,), args = record.packed([request], fresh_urls.until_of)

        def call() -> list[Any]:
            with self.redis.pipeline(transaction=False) as pipe:
                self._scripts.queue(pipe, "submit", args)
                pipe.hgetall(keys.job(id_))
                pipe.get(keys.history(id_))
                # Not raised by redis-py, which would put the arguments into the error's text: URLs, with signatures.
                answers = pipe.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, redis.RedisError):
                    raise answer
            return answers

        (outcome,), fields, history = self._scripts.with_library(call)
        if outcome == "full":
            raise QueueFull
        if outcome == "existing" and fresh_urls.renew(self, id_, history, request):
            return outcome, self.get(id_)
        return outcome, record.unpack(id_, fields, history) if fields else None

    def renew_urls(self, id_: str, before: str, after: str, until_when: str) -> None:
        """Put a request with fresh URLs in the place of the one that was read."""
        self._scripts.run("renew_urls", id_, before, after, until_when)

    def get(self, id_: str) -> Record:
        """Return the record.

        Raises:
            JobNotFound: there was never such a job.
            JobGone: it finished and its record has expired.
        """
        if not id_.isascii():
            raise JobNotFound(f"no job has the id {id_!a}")
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.job(id_))
            pipe.get(keys.history(id_))
            pipe.get(keys.tombstone(id_))
            pipe.get(keys.alias(id_))
            fields, history, buried, other_id = pipe.execute()
        if fields:
            return record.unpack(id_, fields, history)
        if other_id:
            return self.get(other_id)
        if buried:
            _, *tenant, _ = buried.split(" ")  # older ones do not name it
            raise JobGone(f"job {id_} finished and its record has expired", tenant=tenant[0] if tenant else None)
        raise JobNotFound(f"no job has the id {id_}")

    def cancel(self, id_: str) -> str:
        """Cancel; return `ok`, the final state that the job had already, or `gone`."""
        return str(self._scripts.run("cancel", id_))

    def retry(self, ids: Sequence[str]) -> list[str]:
        """Put finished jobs back in line; for each `ok`, the state that forbids it, or `gone`; all or QueueFull."""
        answers = [str(answer) for answer in self._scripts.run("retry", record.RETRY_LINE, *ids)] if ids else []
        if "full" in answers:
            raise QueueFull
        return answers

    def name_also(self, task_id: str, id_: str) -> None:
        """Let `get(task_id)` find the job: a plain Celery producer knows it by its task's id."""
        if task_id != id_:
            self.redis.set(keys.alias(task_id), id_, ex=self._alias_ttl_s)

    def by_task(self, task_id: str) -> str:
        """Return the id of the job that a Celery task id stands for: its own, unless `name_also` said otherwise."""
        return str(self.redis.get(keys.alias(task_id)) or task_id)

    # -- attempts

    def set_limits(self, settings: WorkerSettings) -> None:
        """Write the fleet's limits; workers do it at start, the last one wins."""
        limits = limits_of(settings)
        self._scripts.run("set_limits", *(item for pair in limits.items() for item in pair))

    def forget_rate(self) -> None:
        """Forget what refusals taught about the rate."""
        self._scripts.run("forget_rate")

    def set_tenant(self, limits: TenantLimits) -> None:
        """Write a tenant's own limits; the defaults take them away."""
        self._scripts.run("set_tenant", limits.tenant, *limits.fields())

    def tenants(self) -> list[TenantLimits]:
        """Return the limits of all tenants that have their own, by name."""
        return tenants.read(self.redis)

    def hold_line(self) -> None:
        """Close the line by hand, durably: no call is begun until `release_line`; webhooks go on."""
        self._scripts.run("hold_line")

    def release_line(self) -> None:
        """Open the line that was closed by hand; one that the breaker closed is probed at once."""
        self._scripts.run("release_line")

    def look(self) -> Look:
        """Return how the line stands: 16 ms of Redis' CPU with 10,000 tenants in line. No atomic step: `in_line`."""
        return Look.read(self.redis, self._scripts.run("look"))

    def line(self) -> Line:
        """Return how the line to the vendor stands."""
        return self.look().line

    def claim(self, id_: str, lease_s: float) -> Claim | NotClaimed:
        """Claim the job that a hint names, and book its call."""
        verdict, *rest = self._scripts.run("claim", id_, int(lease_s * 1000))
        if verdict != "go":
            return NotClaimed(verdict)
        wait, fence, step, now_ms, history, *fields = rest
        job = record.unpack(id_, record.pairs(fields), history)
        return Claim(job=job, fence=fence, step=step, wait_s=float(wait) / 1000, now_ms=now_ms)

    def put_back(self, id_: str) -> None:
        """Put a job whose hint was taken back to the head of its line, unclaimed."""
        self._scripts.run("put_back", id_)

    def confirm(self, claim: Claim) -> str:
        """After a wait: `ok` to send, `lost`, or why the line is closed: `held`, `paused` or `outage`."""
        return str(self._scripts.run("confirm", claim.job.id, claim.fence))

    def apply(
        self,
        claim: Claim,
        event: Event,
        *,
        patch: Mapping[str, str | int],
        entry: str = "",
        wake: WakeKind = "",
        delay_s: float = 0,
        pause_s: float = 0,
        says: str = "",
        made_at_ms: int = 0,
        step_if_spared: Step = "query",
    ) -> str:
        """Write what an attempt came to; see lua/apply.lua for the answers."""
        flat = [item for pair in patch.items() for item in pair]
        times = int(delay_s * 1000), int(pause_s * 1000)
        told = (claim.job.id, claim.fence, event, entry, wake, *times, says, made_at_ms, step_if_spared)
        return str(self._scripts.run("apply", *told, *flat))

    def renew(self, leases: Sequence[tuple[str, int, float]]) -> list[bool]:
        """Renew `(id, fence, seconds)` leases in one round trip; False where the lease is lost."""
        args = [item for id_, fence, lease_s in leases for item in (id_, fence, int(lease_s * 1000))]
        return [answer == "ok" for answer in self._scripts.run("renew", *args)] if args else []

    def wake(self, worker: str, lease_s: float, *, stayed: bool = False, at_most: int = 200) -> tuple[int, float]:
        """Do the dispatcher's step; return members handled (-1: another worker leads) and seconds to the next look.

        `stayed`: this worker has dispatched before, or tried to.
        """
        args = (worker, int(lease_s * 1000), at_most, "stayed" if stayed else "new")
        handled, pause_ms = self._scripts.run("wake", *args)
        return handled, max(pause_ms, 0) / 1000

    def step_down(self, worker: str) -> None:
        """Give the dispatcher's lease up, if it is this worker's."""
        if self.redis.get(keys.dispatcher()) == worker:  # taken over in between: that one takes it again
            self.redis.delete(keys.dispatcher())
