"""The jobs: submitted, read, cancelled and retried, one atomic operation each."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from swapjobs.contract.errors import JobGone, JobNotFound, QueueFull, QueueUnavailable
from swapjobs.contract.job import DEFAULT_TENANT, Submission, job_id
from swapjobs.contract.signed_urls import until_of
from swapjobs.store import fresh_urls, job_index, keys, record
from swapjobs.store.durability import on_disk
from swapjobs.tracing import NOWHERE, JobOrigin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import redis

    from swapjobs.contract.filters import JobQuery
    from swapjobs.contract.job import Job
    from swapjobs.contract.page import JobPage
    from swapjobs.contract.request import Request
    from swapjobs.store.functions import Functions
    from swapjobs.store.record import Record


class JobStore:
    """The jobs in one Redis, as producers see them."""

    def __init__(self, client: redis.Redis, functions: Functions) -> None:
        self._redis = client
        self._functions = functions

    def submit(
        self, requests: Iterable[Request], *, origin: JobOrigin = NOWHERE, durably: bool = False
    ) -> list[Submission]:
        """Accept jobs in one step; each gets its own outcome.

        `durably`: return when they are on Redis' disk. Workers, who record what Celery brought, have nobody to tell.

        Raises:
            QueueFull: Redis is at its memory limit; none was accepted.
            QueueUnavailable: `durably`, and they were accepted but are not known to be on disk.
        """
        asked = list(requests)
        ids, args = record.packed(asked, until_of, repeat(origin))
        if not ids:
            return []
        if durably:
            what = f"job {ids[0]} was" if len(ids) == 1 else f"{len(ids)} jobs were"
            queue = partial(self._functions.queue, name="jobs/submit", args=args)
            (outcomes,), lost = self._functions.with_library(lambda: on_disk(self._redis, queue))
            if lost:
                raise QueueUnavailable(f"{what} {lost}")
        else:
            outcomes = self._functions.call("jobs/submit", *args)
        if "full" in outcomes:
            raise QueueFull
        known = [
            (id_, request) for id_, request, outcome in zip(ids, asked, outcomes, strict=True) if outcome == "existing"
        ]
        self._renew_all_urls(known)
        return [_submission(id_, outcome) for id_, outcome in zip(ids, outcomes, strict=True)]

    def get(self, id_: str) -> Record:
        """Return the record.

        Raises:
            JobNotFound: there was never such a job.
            JobGone: it finished and its record has expired.
        """
        if not id_.isascii():
            raise JobNotFound(f"no job has the id {id_!a}")
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(keys.job(id_))
            pipe.hget(*keys.tombstone(id_))
            pipe.get(keys.alias(id_))
            text, buried, other_id = pipe.execute()
        if text:
            return record.unpack(id_, text)
        if other_id:
            return self.get(other_id)
        if buried:
            _, *more = buried.split(" ")
            tenant = more[1] if more[1:] else DEFAULT_TENANT
            raise JobGone(f"job {id_} finished and its record has expired", tenant=tenant)
        raise JobNotFound(f"no job has the id {id_}")

    def read_many(self, ids: Sequence[str]) -> list[Job]:
        """Return those of these jobs that have records, in this order."""
        return job_index.read(self._redis, [id_ for id_ in ids if id_.isascii()])

    def find(self, name: str, tenant: str) -> Record:
        """Return the record of a job by its id, or else by its `business_task_id` with this tenant.

        Raises as `get` does.
        """
        try:
            return self.get(name)
        except JobGone:
            raise
        except JobNotFound:
            try:
                return self.get(job_id(tenant, name))
            except JobGone as gone:
                what = f"the job of {name} of tenant {tenant} finished and its record has expired"
                raise JobGone(what, tenant=gone.tenant) from None
            except JobNotFound:
                shown = name if name.isascii() else ascii(name)
                what = f"no job has the id {shown}, and none of tenant {tenant} has this business_task_id"
                raise JobNotFound(what) from None

    def page(self, query: JobQuery) -> JobPage:
        """Return one page of a tenant's jobs, newest first.

        Raises:
            InvalidRequest: something of the query is not valid.
        """
        return job_index.page(self._redis, query)

    def cancel(self, id_: str) -> str:
        """Cancel; return `ok`, the final state that the job had already, or `gone`."""
        return str(self._functions.call("jobs/cancel", id_))

    def forget(self, ids: Sequence[str]) -> list[str]:
        """Delete what is kept of finished jobs; for each `ok`, `gone`, or the state that forbids it."""
        return [str(answer) for answer in self._functions.call("jobs/forget", *ids)] if ids else []

    def retry(self, ids: Sequence[str]) -> list[str]:
        """Queue finished jobs again; for each `ok`, the state that forbids it, or `gone`; all or QueueFull."""
        answers = [str(answer) for answer in self._functions.call("jobs/retry", *ids)] if ids else []
        if "full" in answers:
            raise QueueFull
        return answers

    def with_urls(self, job: Record, urls: Mapping[str, str]) -> str:
        """Give a job fresh URLs of its pictures, and return its id; without any it stays as it is.

        Raises:
            InvalidRequest: a URL is none.
            IdempotencyConflict: it is another picture's.
        """
        if urls:
            self._renew_all_urls([(job.id, fresh_urls.request_with(job, urls))])
        return job.id

    def by_task(self, task_id: str) -> str:
        """Return the id of the job that a Celery task id stands for: its own, unless it is a product's."""
        return str(self._redis.get(keys.alias(task_id)) or task_id)

    def _renew_all_urls(self, known: Sequence[tuple[str, Request]]) -> None:
        """Let jobs that were submitted again have the URLs they came with now, unless they succeeded."""
        if not known:
            return
        with self._redis.pipeline(transaction=False) as pipe:
            for id_, _ in known:
                pipe.get(keys.job(id_))
            texts = pipe.execute()
        for (id_, request), text in zip(known, texts, strict=True):
            if text:
                self.renew_urls(id_, text, request)

    def renew_urls(self, id_: str, text: str, request: Request) -> bool:
        """Let one job, whose record was read, have the URLs of `request`; return whether they are others."""
        before, after = fresh_urls.packed_with(record.history_of(text), request)
        if after is not None:
            self._functions.call("jobs/renew_urls", id_, before, after, until_of(request))
        return after is not None


_CLOSED: Final = "batch_id: this batch is closed, it takes no more jobs; another id is another batch"


def _submission(id_: str, outcome: Any) -> Submission:
    """Return what became of a request, of which jobs/submit.lua says `outcome`."""
    if outcome == "closed":
        return Submission(id=None, outcome="invalid", error=_CLOSED)
    return Submission(id=id_, outcome=outcome)
