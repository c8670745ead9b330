"""SwapClient: what a producer uses. Thread-safe; one per process is enough, in Django, Flask and FastAPI alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Never, Unpack

from swapjobs import tracing
from swapjobs.client.accept import accepted, note, submitting
from swapjobs.client.batches import Batches
from swapjobs.client.bulk import BLOCK, as_bulk, refused
from swapjobs.client.interface import JobClient
from swapjobs.client.models import ask_for_models
from swapjobs.client.operations import Operations
from swapjobs.client.operator import Operator
from swapjobs.client.webhooks import Webhooks
from swapjobs.contract.errors import JobNotFound, NotFinished, NotRetryable
from swapjobs.contract.filters import JobQuery, RetryFilter
from swapjobs.settings import CoreSettings, load_settings
from swapjobs.store.attempt_log import attempts_of
from swapjobs.store.group_submit import pack
from swapjobs.store.redis_client import queue_errors
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    import builtins
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from swapjobs.client.http.gateway_client import GatewayClient
    from swapjobs.contract.attempt import Attempt
    from swapjobs.contract.filters import JobFilters
    from swapjobs.contract.job import Job, Submission
    from swapjobs.contract.lifecycle import JobState
    from swapjobs.contract.model_page import ModelPage
    from swapjobs.contract.page import JobPage
    from swapjobs.contract.request import Request
    from swapjobs.store.group_submit import Packed, Submitted


class SwapClient(JobClient):
    """Submit swap jobs and ask how they stand: the client that reaches Redis.

    Example:
        >>> client = SwapClient()
        >>> job = client.submit(SwapRequest(source_url="https://...", target_url="https://..."))
        >>> client.wait(job.id, timeout_s=60).output_url

    Raises (every method):
        QueueUnavailable: Redis cannot be reached; or, with SWAPJOBS_SUBMIT_DURABILITY=fsync, jobs were accepted but are
            not known to be on its disk. To submit them again with the same business_task_id is safe.
    """

    batches: Batches
    webhooks: Webhooks
    operations: Operations

    def __init__(self, settings: CoreSettings | None = None, *more: Never, **named: Never) -> None:
        if more or named or not isinstance(settings, CoreSettings | None):
            raise TypeError(
                "SwapClient takes settings, such as SwapClient(CoreSettings(redis_url='redis://...')); a gateway is"
                " reached by SwapClient.from_gateway(url, key)"
            )
        self.settings = settings or load_settings(CoreSettings)
        self._store = Store(connect(self.settings), self.settings)
        self.batches = Batches(self._store)
        self.webhooks = Webhooks(self._store, self.settings)
        self.operations = Operations(self._store)
        self.operator = Operator(self._store)
        self._durably = self.settings.submit_durability == "fsync"

    @staticmethod
    def from_gateway(
        url: str, key: str, *, patience_s: float = 10.0, allow_http: bool = False, trust_env: bool = False
    ) -> GatewayClient:
        """Return a client with the same methods, through the HTTP gateway at `url`; see `GatewayOptions`."""
        from swapjobs.client.http.gateway_client import GatewayClient  # noqa: PLC0415 - only who wants it loads httpx

        return GatewayClient(url, key, patience_s=patience_s, allow_http=allow_http, trust_env=trust_env)

    def accept(self, request: Request) -> tuple[Job, bool]:
        """Accept one job as `submit` does; tell also whether it is new."""
        with queue_errors(), submitting(request) as span:
            submitted = self._store.submits.one(pack(request, tracing.current()), durably=self._durably)
            note(span, submitted)
        return accepted(request, submitted)

    def accept_each(self, packed: Sequence[Packed]) -> list[Submitted | Exception]:
        """Accept jobs of several callers in one call, for `swapjobs.client.accept`; what goes wrong is Redis' word."""
        return self._store.submits.each(packed, durably=self._durably)

    def submit_many(self, requests: Iterable[Request | Mapping[str, Any]]) -> Iterator[Submission]:
        """Accept many jobs, lazily and in order: one `Submission` for each request.

        Mappings are validated here and default to priority `bulk`; an invalid one costs only itself. A request
        keeps the priority it was given, or gets `bulk` where none was. Jobs go to Redis in blocks of 100.

        Raises:
            QueueFull: Redis is at its memory limit; what was yielded before is kept.
        """
        source = iter(requests)
        while block := list(islice(source, BLOCK)):
            parsed = [as_bulk(item) for item in block]
            valid = [item for item in parsed if not isinstance(item, str)]
            with queue_errors(), tracing.span("submit", "producer", jobs=len(valid)):
                origin = replace(tracing.current(), is_linked=True)
                accepted = iter(self._store.jobs.submit(valid, origin=origin, durably=self._durably))
            for item in parsed:
                yield refused(item) if isinstance(item, str) else next(accepted)

    def get(self, job_id: str, *, tenant: str = "default") -> Job:
        """Return the job as it stands now.

        Args:
            job_id: Its id, or the `business_task_id` that it was submitted with; so with all these methods.
            tenant: Whose `business_task_id` that is.

        Raises:
            JobNotFound: there is no such job; `JobGone`, a subclass, when it finished and its record has expired.
        """
        with queue_errors():
            return self._store.jobs.find(job_id, tenant).to_job()

    def attempts(self, job_id: str, *, tenant: str = "default") -> builtins.list[Attempt]:
        """Return the attempts at the job, the oldest first: when, by which worker, and what came of each.

        Raises:
            JobNotFound: there is no such job; `JobGone`, a subclass, when it finished and its record has expired.
        """
        with queue_errors():
            return attempts_of(self._store.jobs.find(job_id, tenant).history)

    def list(self, **query: Unpack[JobFilters]) -> JobPage:
        """Return jobs of a tenant, newest first; a page may hold fewer than asked for and not be the last.

        Args:
            query: `tenant` ("default"; None: everybody's), `business_task_id` (at most one job), `state`, `batch_id`,
                `error_code`, `tool`, `created_after`, `created_before` (aware datetimes), `cursor` (of the last page),
                `limit` (50; 1 to 500). What is left out does not matter.

        Raises:
            InvalidRequest: something of it is not valid; `field` says what.
        """
        with queue_errors():
            return self._store.jobs.page(JobQuery(**query))

    def wait(self, job_id: str, timeout_s: float, *, tenant: str = "default") -> Job:
        """Return the job once it is final.

        Raises:
            WaitTimeout: it is not final after `timeout_s` seconds; the job goes on.
            JobNotFound: there is no such job.
        """
        with queue_errors():
            return self._store.wait(job_id, timeout_s, tenant)

    def cancel(self, job_id: str, *, tenant: str = "default") -> Job:
        """Cancel the job and return it; a final job stays as it is.

        A call that is under way is not cut off: a picture that still arrives is kept in `output_url`.

        Raises:
            JobNotFound: there is no such job.
        """
        with queue_errors():
            job = self._store.jobs.find(job_id, tenant)
            answer = self._store.jobs.cancel(job.id)
            if answer == "gone":
                raise JobNotFound(f"no job has the id {job.id}")
            self._store.audit.note("job.cancel", tenant=job.fields["tenant"], target=job.id, result=answer)
        return self.get(job.id)

    def forget(self, job_id: str, *, tenant: str = "default") -> None:
        """Delete what is kept of a finished job: URLs, metadata, attempts, deliveries. From then on it is `JobGone`.

        Pending deliveries of it are given up. What is counted stays, and that the id was used, so that nothing is paid
        twice. What the vendor keeps of the pictures is the vendor's.

        Raises:
            NotFinished: it is not final; cancel it first. Or its last call is still under way, or a product's own
                Celery app was not told of its end yet.
            JobNotFound: there is no such job; `JobGone`, a subclass, when its record is gone already.
        """
        with queue_errors():
            job = self._store.jobs.find(job_id, tenant)
            answer = self._store.jobs.forget([job.id])[0]
            if answer == "ok":
                self._store.audit.note("job.forget", tenant=job.fields["tenant"], target=job.id)
        if answer == "untold":
            raise NotFinished(f"job {job.id}: the Celery app that sent it has not been told of its end yet")
        if answer not in {"ok", "gone"}:
            raise NotFinished(f"job {job.id} is {answer}: cancel it, and forget it when its last call is over")

    def retry(self, job_id: str, *, tenant: str = "default", **urls: str) -> Job:
        """Queue a failed, cancelled or expired job again and return it: new attempts, the old ones as history.

        A call whose outcome was not seen is looked up first; else the vendor gets a new id. A passed deadline and an
        undelivered webhook of the old end are dropped. `urls`: the same pictures signed anew, by their names in the
        tool's input.

        Raises:
            NotRetryable: the job is not final, or it succeeded.
            JobNotFound: there is no such job; `JobGone`, a subclass, when its record has expired.
            QueueFull: Redis is at its memory limit.
        """
        with queue_errors():
            job = self._store.jobs.find(job_id, tenant)
            (answer,) = self._store.jobs.retry([self._store.jobs.with_urls(job, urls)])
            if answer == "ok":
                self._store.audit.note("job.retry", tenant=job.fields["tenant"], target=job.id)
        if answer not in {"ok", "gone"}:
            raise NotRetryable(f"job {job.id} is {answer}: only failed, cancelled and expired jobs can be retried")
        return self.get(job.id)

    def retry_many(
        self,
        *,
        batch_id: str | None = None,
        error_code: str | None = None,
        tenant: str | None = None,
        states: Collection[JobState] | None = None,
    ) -> Iterator[str]:
        """Retry the finished jobs for which everything given holds, lazily; yield the id of each.

        Without `states` the failed ones, or the expired ones for the code `expired`. All records are looked through,
        which takes seconds for 100,000 jobs. Jobs that end meanwhile are left alone, so none is retried twice.

        Raises:
            InvalidRequest: none of `batch_id`, `error_code` and `tenant` is given, or a code or state cannot fit.
            QueueFull: Redis is at its memory limit; what was yielded before is retried.
        """
        chosen = RetryFilter.parse(batch_id=batch_id, error_code=error_code, tenant=tenant, states=states)
        return self._retry(chosen)

    def _retry(self, chosen: RetryFilter) -> Iterator[str]:
        blocks = self._store.retry_matching(chosen)
        while True:
            with queue_errors():
                block = next(blocks, None)
            if block is None:
                return
            yield from block

    def models(self, **query: Any) -> ModelPage:
        """Return a page of the models that the sd tools can draw with; see `ask_for_models`."""
        return ask_for_models(self._store, query)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._store.close()
