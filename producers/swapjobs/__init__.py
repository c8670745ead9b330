"""swapjobs: the contract and the client of a job queue in front of a face-swap API.

Start with `SwapClient` and `SwapRequest`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
else:
    # Each name is imported when it is first used (PEP 562): whoever needs one model does not load a Redis client.
    _MODULES = {
        "client.swap_client": "SwapClient",
        "contract.batch": "Batch",
        "contract.dispatch_status": "DispatchStatus",
        "contract.errors": "BatchClosed BatchNotFound ErrorCode IdempotencyConflict InvalidRequest JobGone JobNotFound"
        " NotRetryable QueueFull QueueUnavailable SettingsError SwapjobsError VendorUnavailable WaitTimeout",
        "contract.job": "Job JobError Submission WebhookStatus",
        "contract.lifecycle": "FINAL JobState Reason",
        "contract.output": "ImageOutput JsonOutput TextOutput",
        "contract.page": "JobPage",
        "contract.request": "JobRequest SwapRequest",
        "contract.webhook": "WebhookEvent",
        "settings": "CoreSettings",
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        """Import a public name."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return value

    def __dir__() -> list[str]:
        """Name what is there, and what would be."""
        return sorted({*globals(), *__all__})


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
