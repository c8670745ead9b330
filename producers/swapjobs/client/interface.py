"""JobClient: the verbs that both clients have, the one that reaches Redis and the one over HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol, Self, Unpack

from swapjobs.contract.request import Request, parse_request

if TYPE_CHECKING:
    import builtins
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from swapjobs.contract.attempt import Attempt
    from swapjobs.contract.batch import Batch
    from swapjobs.contract.filters import JobFilters
    from swapjobs.contract.job import Job, Submission
    from swapjobs.contract.lifecycle import JobState
    from swapjobs.contract.model_page import ModelPage
    from swapjobs.contract.operation import Operation
    from swapjobs.contract.page import DeliveryPage, JobPage
    from swapjobs.contract.webhook import Delivery, Endpoint, EndpointSecret


class JobClient(ABC):
    """What a producer calls; `SwapClient` and `GatewayClient` are its two forms. Thread-safe.

    A `job_id` is the id that `submit` gave, or the product's own: the `business_task_id`, with its `tenant`.

    Raises (every method):
        QueueUnavailable: the queue cannot be reached.
    """

    batches: BatchVerbs
    webhooks: WebhookVerbs
    operations: OperationVerbs

    def submit(self, request: Request | Mapping[str, Any]) -> Job:
        """Accept one job; once this returns, the job reaches a final state.

        Submitting the same `business_task_id` with the same request again returns the same job. A mapping is validated
        here.

        Raises:
            InvalidRequest: it is no request, or one that is not valid; `field` says where.
            IdempotencyConflict: the id was used before for another request.
            BatchClosed: its batch takes no more jobs.
            QueueFull: Redis is at its memory limit.
        """
        return self.accept(request if isinstance(request, Request) else parse_request(request))[0]

    @abstractmethod
    def accept(self, request: Request) -> tuple[Job, bool]:
        """Accept one job as `submit` does; tell also whether it is new."""

    @abstractmethod
    def submit_many(self, requests: Iterable[Request | Mapping[str, Any]]) -> Iterator[Submission]:
        """Accept many jobs, lazily and in order: one `Submission` for each request."""

    @abstractmethod
    def get(self, job_id: str, *, tenant: str = "default") -> Job:
        """Return the job as it stands now."""

    @abstractmethod
    def attempts(self, job_id: str, *, tenant: str = "default") -> builtins.list[Attempt]:
        """Return the attempts at the job, the oldest first."""

    @abstractmethod
    def list(self, **query: Unpack[JobFilters]) -> JobPage:
        """Return jobs of a tenant, newest first."""

    @abstractmethod
    def wait(self, job_id: str, timeout_s: float, *, tenant: str = "default") -> Job:
        """Return the job once it is final."""

    @abstractmethod
    def cancel(self, job_id: str, *, tenant: str = "default") -> Job:
        """Cancel the job and return it; a final job stays as it is."""

    @abstractmethod
    def forget(self, job_id: str, *, tenant: str = "default") -> None:
        """Delete what is kept of a finished job."""

    @abstractmethod
    def retry(self, job_id: str, *, tenant: str = "default", **urls: str) -> Job:
        """Queue a failed, cancelled or expired job again and return it."""

    @abstractmethod
    def retry_many(
        self,
        *,
        batch_id: str | None = None,
        error_code: str | None = None,
        tenant: str | None = None,
        states: Collection[JobState] | None = None,
    ) -> Iterator[str]:
        """Retry the finished jobs for which everything given holds, lazily; yield the id of each."""

    @abstractmethod
    def models(
        self,
        *,
        page_size: int = 10,
        page_num: int = 1,
        sd_model_checkpoint: str | None = None,
        sd_model_name: str | None = None,
    ) -> ModelPage:
        """Return a page of the models that the sd tools can draw with."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class BatchVerbs(Protocol):
    """`client.batches`; see `Batches` for what each does and raises."""

    def open(  # noqa: D102 - see Batches
        self, batch_id: str | None = None, *, tenant: str = "default", callback_url: str | None = None
    ) -> Batch: ...
    def get(self, batch_id: str, *, tenant: str = "default") -> Batch: ...  # noqa: D102
    def list(  # noqa: D102
        self, *, tenant: str = "default", cursor: str | None = None, limit: int = 50
    ) -> tuple[builtins.list[Batch], str | None]: ...
    def close(self, batch_id: str, *, tenant: str = "default") -> Batch: ...  # noqa: D102
    def pause(self, batch_id: str, *, tenant: str = "default") -> Batch: ...  # noqa: D102
    def resume(self, batch_id: str, *, tenant: str = "default") -> Batch: ...  # noqa: D102
    def cancel(self, batch_id: str, *, tenant: str = "default") -> Batch: ...  # noqa: D102
    def retry(self, batch_id: str, *, tenant: str = "default", error_code: str | None = None) -> Batch: ...  # noqa: D102


class OperationVerbs(Protocol):
    """`client.operations`; see `Operations` for what each does and raises."""

    def start(self, kind: str, *, patience_s: float = 1.0, **filters: Any) -> Operation: ...  # noqa: D102
    def get(self, operation_id: str) -> Operation: ...  # noqa: D102
    def list(self, *, tenant: str | None = None) -> builtins.list[Operation]: ...  # noqa: D102
    def stop(self, operation_id: str) -> Operation: ...  # noqa: D102


class WebhookVerbs(Protocol):
    """`client.webhooks`; see `Webhooks` and `Endpoints` for what each does and raises."""

    def add(self, url: str, *, tenant: str = "default", events: Sequence[str] = ()) -> EndpointSecret: ...  # noqa: D102
    def endpoints(self, *, tenant: str = "default") -> list[Endpoint]: ...  # noqa: D102
    def endpoint(self, id: str, *, tenant: str = "default") -> Endpoint: ...  # noqa: A002, D102
    def update(  # noqa: D102
        self,
        id: str,  # noqa: A002
        *,
        tenant: str = "default",
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Endpoint: ...
    def rotate(self, id: str, *, tenant: str = "default", overlap_s: float = 86_400) -> EndpointSecret: ...  # noqa: A002, D102
    def secret(self, id: str, *, tenant: str = "default") -> EndpointSecret: ...  # noqa: A002, D102
    def remove(self, id: str, *, tenant: str = "default") -> None: ...  # noqa: A002, D102
    def deliveries(  # noqa: D102
        self,
        *,
        tenant: str = "default",
        state: str | None = None,
        endpoint_id: str | None = None,
        event: str | None = None,
        subject: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage: ...
    def delivery(self, id: str, *, tenant: str = "default") -> Delivery: ...  # noqa: A002, D102
    def replay(self, id: str, *, tenant: str = "default") -> Delivery: ...  # noqa: A002, D102
    def replay_since(  # noqa: D102
        self, when: datetime, *, tenant: str = "default", state: str = "undelivered", endpoint_id: str | None = None
    ) -> Iterator[str]: ...
    def test(self, endpoint_id: str, *, tenant: str = "default") -> Delivery: ...  # noqa: D102
