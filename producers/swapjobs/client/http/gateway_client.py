"""GatewayClient: the client of a queue behind the HTTP gateway; the same methods, the same exceptions."""

from __future__ import annotations

import math
import secrets
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, Unpack

from swapjobs.client.bulk import BLOCK, as_bulk, refused
from swapjobs.client.http.answers import place, read, retry_after_s
from swapjobs.client.http.at_redis_only import no_attribute
from swapjobs.client.http.groups import GatewayBatches, GatewayOperations, GatewayWebhooks, own, text_of
from swapjobs.client.http.transport import GatewayHttp, GatewayOptions
from swapjobs.client.interface import JobClient
from swapjobs.contract.attempt import AttemptList
from swapjobs.contract.errors import (
    BatchClosed,
    IdempotencyConflict,
    InvalidRequest,
    JobNotFound,
    NotRetryable,
    TooManyRequests,
    WaitTimeout,
)
from swapjobs.contract.filters import JobQuery, RetryFilter
from swapjobs.contract.job import Job, Submission
from swapjobs.contract.lifecycle import FINAL
from swapjobs.contract.model_page import ModelPage
from swapjobs.contract.page import JobPage
from swapjobs.contract.request import Request

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from swapjobs.client.interface import BatchVerbs, OperationVerbs, WebhookVerbs
    from swapjobs.contract.attempt import Attempt
    from swapjobs.contract.filters import JobFilters
    from swapjobs.contract.lifecycle import JobState

JOBS: Final = "/v1/jobs"
_LONGEST_WAIT_S: Final = 60  # that a gateway answers to
_PAUSE_S: Final = 1.0
T = TypeVar("T")
_AT_ONCE: Final = 8  # requests of one submit_many


class GatewayClient(JobClient):
    """What `SwapClient.from_gateway` returns; thread-safe, one per process is enough.

    The key says whose jobs they are: a `tenant` that is given must be the key's own, and "default" means that too.
    What gets no answer is asked again for `patience_s` seconds where twice does no harm; to make that true of `submit`,
    a request without a `business_task_id` gets one here. `retry`, and what makes a new thing, are asked once.

    Raises (every method):
        QueueUnavailable: the gateway cannot be reached, or it cannot reach Redis.
        TooManyRequests: it takes no more now; `retry_after_s` says when. `submit_many` and `wait` wait for that.
        AccessDenied: it does not know the key.
        RedisNeeded: what is asked for is there only where Redis is reached, as `operator` is.
    """

    def __init__(
        self, url: str, key: str, *, patience_s: float = 10.0, allow_http: bool = False, trust_env: bool = False
    ) -> None:
        self._http = GatewayHttp(url, key, GatewayOptions(patience_s, allow_http, trust_env))
        self.batches: BatchVerbs = GatewayBatches(self._http)
        self.webhooks: WebhookVerbs = GatewayWebhooks(self._http)
        self.operations: OperationVerbs = GatewayOperations(self._http)

    if not TYPE_CHECKING:  # which knows what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Tell what only a client at Redis has."""
            raise no_attribute(self, name)

    def __repr__(self) -> str:
        return f"GatewayClient({self._http.url!r})"

    def accept(self, request: Request) -> tuple[Job, bool]:
        """Accept one job as `submit` does; tell also whether it is new."""
        answer = self._http.send("POST", JOBS, body=body_of(request))
        return read(answer, Job), answer.headers.get("Idempotent-Replayed") != "true"

    def submit_many(self, requests: Iterable[Request | Mapping[str, Any]]) -> Iterator[Submission]:
        """Accept many jobs, lazily and in order, as `SwapClient.submit_many`; eight requests at a time.

        A gateway that takes no more for now is waited for, up to `patience_s` seconds for each job.
        """
        source = iter(requests)
        with ThreadPoolExecutor(_AT_ONCE, "swapjobs-submit") as pool:
            while block := list(islice(source, BLOCK)):
                under_way: dict[str, Future[Submission]] = {}
                outcomes: list[Future[Submission]] = []
                for item in map(as_bulk, block):
                    id_ = (isinstance(item, Request) and item.business_task_id) or ""
                    outcomes.append(pool.submit(copy_context().run, self._outcome, item, under_way.get(id_)))
                    if id_:
                        under_way[id_] = outcomes[-1]
                try:
                    for outcome in outcomes:
                        yield outcome.result()
                finally:
                    for outcome in outcomes:
                        outcome.cancel()

    def _outcome(self, item: Request | str, first: Future[Submission] | None) -> Submission:
        """Submit one; after `first`, which has the same id."""
        if isinstance(item, str):
            return refused(item)
        if first is not None:
            wait([first])
        try:
            job, is_new = self._patiently(partial(self.accept, item))
        except IdempotencyConflict as error:
            return Submission(id=error.job_id, outcome="conflict")
        except (InvalidRequest, BatchClosed) as error:
            return Submission(id=None, outcome="invalid", error=str(error))
        return Submission(id=job.id, outcome="created" if is_new else "existing")

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return what the call gives; while the gateway takes no more, make it again when it says."""
        until = time.monotonic() + self._http.patience_s
        while True:
            try:
                return call()
            except TooManyRequests as error:
                pause_s = error.retry_after_s or 1
                if time.monotonic() + pause_s > until:
                    raise
                time.sleep(pause_s)

    def get(self, job_id: str, *, tenant: str = "default") -> Job:
        """Return the job as it stands now, as `SwapClient.get`."""
        return self._http.get(self._place(job_id, tenant), Job)

    def attempts(self, job_id: str, *, tenant: str = "default") -> builtins.list[Attempt]:
        """Return the attempts at the job, the oldest first, as `SwapClient.attempts`."""
        return self._http.get(f"{self._place(job_id, tenant)}/attempts", AttemptList).attempts

    def wait(self, job_id: str, timeout_s: float, *, tenant: str = "default") -> Job:
        """Return the job once it is final, as `SwapClient.wait`; the gateway is asked to answer only then."""
        deadline, path = time.monotonic() + timeout_s, self._place(job_id, tenant)
        while True:
            began = time.monotonic()
            left = deadline - began
            wait_s = min(math.ceil(left), _LONGEST_WAIT_S) if left > 0 else 0
            headers = {"Prefer": f"wait={wait_s}"} if wait_s else None
            answer = self._http.send("GET", path, headers=headers, wait_s=wait_s)
            job = read(answer, Job)
            if job.state in FINAL:
                return job
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"job {job.id} is {job.state} after {timeout_s:g} s")
            if time.monotonic() - began < wait_s / 2:  # it has too many that wait, or is about to end
                time.sleep(min(retry_after_s(answer) or _PAUSE_S, left))

    def list(self, **query: Unpack[JobFilters]) -> JobPage:
        """Return a page of jobs, newest first, as `SwapClient.list`."""
        JobQuery(**query).check()
        tenant = query.get("tenant", "default")
        if tenant is None:
            raise InvalidRequest("tenant: a key of the gateway lists its own tenant's jobs", field="tenant")
        params: dict[str, Any] = {**query, "tenant": own(tenant)}
        for name in ("created_after", "created_before"):
            params[name] = text_of(params.get(name))
        return self._http.get(JOBS, JobPage, **params)

    def cancel(self, job_id: str, *, tenant: str = "default") -> Job:
        """Cancel the job and return it, as `SwapClient.cancel`."""
        return self._http.post(f"{self._place(job_id, tenant)}/cancel", Job)

    def forget(self, job_id: str, *, tenant: str = "default") -> None:
        """Delete what is kept of a finished job, as `SwapClient.forget`."""
        self._http.send("DELETE", self._place(job_id, tenant), repeatable=False)

    def retry(self, job_id: str, *, tenant: str = "default", **urls: str) -> Job:
        """Queue a finished job again, as `SwapClient.retry`."""
        return self._http.post(f"{self._place(job_id, tenant)}/retry", Job, urls or None, repeatable=False)

    def _place(self, job_id: str, tenant: str) -> str:
        """Return the path of a job.

        Raises:
            JobNotFound: there is none with this business id, which can't be a part of a path.
        """
        own(tenant)
        if "/" in job_id or job_id in {".", ".."}:
            jobs = self.list(tenant=tenant, business_task_id=job_id).jobs
            if not jobs:
                raise JobNotFound(f"no job has the id {job_id}, and none of yours has this business_task_id")
            job_id = jobs[0].id
        return place(JOBS, job_id)

    def retry_many(
        self,
        *,
        batch_id: str | None = None,
        error_code: str | None = None,
        tenant: str | None = None,
        states: Collection[JobState] | None = None,
    ) -> Iterator[str]:
        """Retry the finished jobs for which everything given holds, lazily; yield the id of each.

        As `SwapClient.retry_many`, one request for each job; `batches.retry` does a whole batch in one.
        """
        chosen = RetryFilter.parse(batch_id=batch_id, error_code=error_code, tenant=tenant, states=states)
        return self._retry_pages(chosen)

    def _retry_pages(self, chosen: RetryFilter) -> Iterator[str]:
        """Go through pages from the newest to the oldest created: so no job comes twice."""
        for state in sorted(chosen.states):
            cursor: str | None = None
            while True:
                page = self.list(
                    tenant=chosen.tenant or "default",
                    state=state,
                    batch_id=chosen.batch_id,
                    error_code=chosen.error_code,
                    cursor=cursor,
                )
                for job in page.jobs:
                    with suppress(NotRetryable, JobNotFound):  # somebody else was quicker
                        yield self._patiently(partial(self.retry, job.id)).id
                cursor = page.next_cursor
                if cursor is None:
                    break

    def models(self, **query: Any) -> ModelPage:
        """Return a page of the models that the sd tools can draw with, as `SwapClient.models`."""
        return self._http.get("/v1/models", ModelPage, **query)

    def close(self) -> None:
        """Close the connections to the gateway."""
        self._http.close()


def body_of(request: Request) -> dict[str, Any]:
    """Return a request as JSON, with an id, so that it can be made twice and is one job."""
    body = request.model_dump(mode="json", exclude_defaults=True)
    return {"business_task_id": secrets.token_hex(12), **body}
