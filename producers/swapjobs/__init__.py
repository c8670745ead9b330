"""swapjobs: the contract and the client of a job queue in front of a face-swap API.

Start with `SwapClient` and `SwapRequest`.
"""

from swapjobs.client.swap_client import SwapClient
from swapjobs.contract.batch import Batch
from swapjobs.contract.dispatch_status import DispatchStatus
from swapjobs.contract.errors import (
    BatchClosed,
    BatchNotFound,
    ErrorCode,
    IdempotencyConflict,
    InvalidRequest,
    JobGone,
    JobNotFound,
    NotRetryable,
    QueueFull,
    QueueUnavailable,
    SettingsError,
    SwapjobsError,
    VendorUnavailable,
    WaitTimeout,
)
from swapjobs.contract.job import Job, JobError, Submission, WebhookStatus
from swapjobs.contract.lifecycle import FINAL, JobState, Reason
from swapjobs.contract.output import ImageOutput, JsonOutput, TextOutput
from swapjobs.contract.page import JobPage
from swapjobs.contract.request import JobRequest, SwapRequest
from swapjobs.contract.webhook import WebhookEvent
from swapjobs.settings import CoreSettings

__all__ = [
    "FINAL",
    "Batch",
    "BatchClosed",
    "BatchNotFound",
    "CoreSettings",
    "DispatchStatus",
    "ErrorCode",
    "IdempotencyConflict",
    "ImageOutput",
    "InvalidRequest",
    "Job",
    "JobError",
    "JobGone",
    "JobNotFound",
    "JobPage",
    "JobRequest",
    "JobState",
    "JsonOutput",
    "NotRetryable",
    "QueueFull",
    "QueueUnavailable",
    "Reason",
    "SettingsError",
    "Submission",
    "SwapClient",
    "SwapRequest",
    "SwapjobsError",
    "TextOutput",
    "VendorUnavailable",
    "WaitTimeout",
    "WebhookEvent",
    "WebhookStatus",
]

if __name__ != "swapjobs":
    # Celery puts the current folder on the path, so `producers.swapjobs` would import as a second copy.
    raise ImportError(f"import it as swapjobs, not as {__name__}")
