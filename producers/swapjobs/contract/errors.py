"""The closed set of error codes, and the exceptions that the client raises.

A job's own failure is data (`Job.error`), not an exception; exceptions are for calls that could not be done.
The docstring of an exception class is its default message.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Why a job failed: stable, closed, seen by clients, webhooks and dashboards."""

    INVALID_REQUEST = "invalid_request"
    SWAP_FAILED = "swap_failed"  # the vendor's status 2
    NO_FACE = "no_face"
    IMAGE_UNREACHABLE = "image_unreachable"
    REJECTED_BY_VENDOR = "rejected_by_vendor"  # any other 4xx
    CREDENTIALS_REJECTED = "credentials_rejected"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    VENDOR_ERROR = "vendor_error"  # 5xx
    VENDOR_TIMEOUT = "vendor_timeout"
    VENDOR_UNREACHABLE = "vendor_unreachable"
    BAD_RESPONSE = "bad_response"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    EXPIRED = "expired"
    INTERNAL = "internal"


class SwapjobsError(Exception):
    """Something went wrong in swapjobs."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])


class InvalidRequest(SwapjobsError):
    """The request is not valid."""

    code = "invalid_request"

    def __init__(self, message: str = "", *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class IdempotencyConflict(SwapjobsError):
    """The business_task_id was already used for a different request, which is the job `job_id`."""

    code = "idempotency_conflict"

    def __init__(self, message: str = "", *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id

    @staticmethod
    def text_of(business_task_id: object, tenant: object) -> str:
        """Return the same text on all ways in: which id, and whose."""
        return f"business_task_id {business_task_id!r} was already used for a different request by tenant {tenant!r}"


class JobNotFound(SwapjobsError):
    """No job has this id."""

    code = "job_not_found"


class JobGone(JobNotFound):
    """The job finished and its record has expired."""

    code = "job_gone"

    def __init__(self, message: str = "", *, tenant: str | None = None) -> None:
        super().__init__(message)
        self.tenant = tenant


class BatchNotFound(JobNotFound):
    """No batch has this id."""

    code = "batch_not_found"


class BatchClosed(SwapjobsError):
    """The batch is closed: it takes no more jobs."""

    code = "batch_closed"


class EndpointNotFound(JobNotFound):
    """No webhook endpoint has this id."""

    code = "endpoint_not_found"


class DeliveryNotFound(JobNotFound):
    """No delivery has this id."""

    code = "delivery_not_found"


class OperationNotFound(JobNotFound):
    """No operation has this id."""

    code = "operation_not_found"


class NotRetryable(SwapjobsError):
    """The job is in no state to be retried from: only failed, cancelled and expired jobs can be retried."""

    code = "not_retryable"


class NotFinished(SwapjobsError):
    """The job is not final, or a call for it is still under way: it can't be forgotten yet."""

    code = "not_finished"


class WaitTimeout(SwapjobsError):
    """The job did not finish in time."""

    code = "wait_timeout"


class QueueUnavailable(SwapjobsError):
    """Redis cannot be reached."""

    code = "queue_unavailable"


class QueueFull(SwapjobsError):
    """Redis is at its memory limit: no new job can be accepted now."""

    code = "queue_full"


class VendorUnavailable(SwapjobsError):
    """The vendor could not be asked, or did not answer as it should; it may be asked again."""

    code = "vendor_unavailable"


class AccessDenied(SwapjobsError):
    """The gateway does not know this key."""

    code = "access_denied"


class ScopeMissing(SwapjobsError):
    """The key is known, but does not allow this; the text names the scope that would."""

    code = "scope_missing"


class TooManyRequests(SwapjobsError):
    """The gateway takes no more requests now; `retry_after_s` says when it will, if it said so."""

    code = "too_many_requests"

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RedisNeeded(SwapjobsError, AttributeError):
    """Only a client that reaches Redis has what was asked for, and not one of the gateway."""

    code = "redis_needed"


class SettingsError(SwapjobsError):
    """A setting is not valid."""

    code = "invalid_settings"
