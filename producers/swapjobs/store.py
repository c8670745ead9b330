"""JobStore: one typed method per atomic operation; the only caller of the scripts."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import redis

from swapjobs import keys, record
from swapjobs.errors import JobGone, JobNotFound
from swapjobs.models import Submission, SwapRequest, job_id
from swapjobs.scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swapjobs.lifecycle import Event
    from swapjobs.record import Record
    from swapjobs.settings import CoreSettings, WorkerSettings

WakeKind = Literal["", "retry", "poll"]
_ALIAS_TTL_S: Final = 40 * 86_400


def connect(settings: CoreSettings, *, patience_s: float = 5) -> redis.Redis:
    """Return a thread-safe Redis client; it connects at the first command.

    `patience_s` is how long a command may take: short for producers, whose users wait, longer for workers.
    """
    return redis.Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_connect_timeout=5,
        socket_timeout=patience_s,
        max_connections=1200,
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed job: the lease is held and one vendor call is booked, `wait_s` from now."""

    job: Record
    fence: int
    step: Literal["send", "query"]
    wait_s: float
    now_ms: int


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """A hint that led to no work: `later` (no slot near enough, back in line), or the job's state, or `gone`."""

    verdict: str


@dataclass(frozen=True, slots=True)
class DeliveryClaim:
    """A claimed webhook delivery."""

    job: Record
    fence: int
    now_ms: int


class JobStore:
    """The records, lines and traffic state in one Redis."""

    def __init__(self, client: redis.Redis, settings: CoreSettings) -> None:
        self.redis = client
        self._alias_ttl_s = settings.result_ttl_s + _ALIAS_TTL_S
        self._scripts = Scripts(client, result_ttl_s=settings.result_ttl_s)

    # -- producers

    def submit(self, requests: Iterable[SwapRequest]) -> list[Submission]:
        """Accept jobs in one step; each gets its own outcome."""
        args: list[str] = []
        ids = []
        for request in requests:
            business_id = request.business_task_id or secrets.token_hex(12)
            ids.append(job_id(request.tenant, business_id))
            args += [
                ids[-1],
                request.fingerprint(),
                request.tenant,
                request.priority,
                business_id,
                record.pack(request),
                record.times_and_host(request),
            ]
        outcomes = self._scripts.run("submit", *args) if ids else []
        return [Submission(id=id_, outcome=outcome) for id_, outcome in zip(ids, outcomes, strict=True)]

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
            pipe.exists(keys.tombstone(id_))
            pipe.get(keys.alias(id_))
            fields, history, buried, other_id = pipe.execute()
        if fields:
            return record.unpack(id_, fields, history)
        if other_id:
            return self.get(other_id)
        if buried:
            raise JobGone(f"job {id_} finished and its record has expired")
        raise JobNotFound(f"no job has the id {id_}")

    def cancel(self, id_: str) -> str:
        """Cancel; return `ok`, the final state that the job had already, or `gone`."""
        return str(self._scripts.run("cancel", id_))

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
        query = settings.query_rate_limit
        limits: dict[str, float] = {
            "interval": settings.rate_limit.interval_s * 1000,
            "burst": settings.rate_burst,
            "horizon": 1000,
            "query_interval": query.interval_s * 1000 if query else 0,
            "max_in_flight": settings.max_in_flight,
        }
        self._scripts.run("set_limits", *(item for pair in limits.items() for item in pair))

    def claim(self, id_: str, lease_s: float) -> Claim | NotClaimed:
        """Claim the job that a hint names, and book its call."""
        verdict, *rest = self._scripts.run("claim", id_, int(lease_s * 1000))
        if verdict != "go":
            return NotClaimed(verdict)
        wait, fence, step, now_ms, history, *fields = rest
        job = record.unpack(id_, record.pairs(fields), history)
        return Claim(job=job, fence=fence, step=step, wait_s=float(wait) / 1000, now_ms=now_ms)

    def confirm(self, claim: Claim) -> str:
        """After a wait: `ok` to send, `lost` or `paused`."""
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
    ) -> str:
        """Write what an attempt came to; see lua/apply.lua for the answers."""
        flat = [item for pair in patch.items() for item in pair]
        delay_ms, pause_ms = int(delay_s * 1000), int(pause_s * 1000)
        return str(self._scripts.run("apply", claim.job.id, claim.fence, event, entry, wake, delay_ms, pause_ms, *flat))

    def note_refusal(self, id_: str) -> int:
        """Count the different jobs whose credentials or quota were refused since the last success."""
        return int(self._scripts.run("refuse", id_))

    def renew(self, leases: Sequence[tuple[str, int, float]]) -> list[bool]:
        """Renew `(id, fence, seconds)` leases in one round trip; False where the lease is lost."""
        args = [item for id_, fence, lease_s in leases for item in (id_, fence, int(lease_s * 1000))]
        return [answer == "ok" for answer in self._scripts.run("renew", *args)] if args else []

    def wake(self, worker: str, lease_s: float, *, at_most: int = 200) -> tuple[int, float]:
        """Do the dispatcher's step; return members handled (-1: another worker leads) and seconds to the next look."""
        handled, pause_ms = self._scripts.run("wake", worker, int(lease_s * 1000), at_most)
        return handled, max(pause_ms, 0) / 1000

    # -- deliveries

    def claim_delivery(self, id_: str, lease_s: float) -> DeliveryClaim | None:
        """Claim the webhook delivery that a hint names; None where there is nothing to do."""
        verdict, *rest = self._scripts.run("claim_delivery", id_, int(lease_s * 1000))
        if verdict != "go":
            return None
        fence, now_ms, history, *fields = rest
        return DeliveryClaim(record.unpack(id_, record.pairs(fields), history), fence, now_ms)

    def settle_delivery(
        self,
        claim: DeliveryClaim,
        state: Literal["delivered", "undelivered", "pending"],
        *,
        status: int | None,
        entry: str,
        delay_s: float = 0,
    ) -> str:
        """Write down one try; `pending` tries again after `delay_s`."""
        args: tuple[Any, ...] = (claim.job.id, claim.fence, state, int(delay_s * 1000), status or "", entry)
        return str(self._scripts.run("settle_delivery", *args))
