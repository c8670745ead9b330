"""The swap as a task of a product's own Celery app: `swap.s(source_url=..., target_url=...)`.

It is sent to the queue `swaps`, where swapjobs' workers make a job of it; what comes after it (link, chain, group,
chord, `AsyncResult`) is as with any task. Needs Celery, and nothing of the workers.
"""

from __future__ import annotations

from typing import Any, Final

from celery.canvas import Signature

from swapjobs.contract.request import parse_request
from swapjobs.store.celery_message import SWAP_TASK
from swapjobs.store.keys import SWAPS_QUEUE


class SwapFailed(Exception):
    """The job failed for good, or there can be none: `code: message`, as in `Job.error`."""


class Swap:
    """Makes signatures of the swap.

    Example:
        >>> result = swap.delay(source_url="https://...", target_url="https://...", business_task_id="order-4711")
        >>> result.get()["output_url"]
    """

    name = SWAP_TASK

    def s(self, **request: Any) -> Signature:
        """Return a signature with the fields of a `SwapRequest`, or of a `JobRequest`: `tool` and `input`.

        In a chain the result of the task before is taken in: a mapping of fields, or a text as the URL that is missing.

        Raises:
            InvalidRequest: both URLs, or the input, are given, and something is wrong with the request.
        """
        if "input" in request or ("source_url" in request and "target_url" in request):
            parse_request(request)
        return _signature(request)

    def si(self, **request: Any) -> Signature:
        """Return a signature that takes nothing in of the task before; see `s`."""
        return self.s(**request).set(immutable=True)

    def delay(self, **request: Any) -> Any:
        """Send it; return the `AsyncResult`.

        Raises:
            InvalidRequest: something is wrong with the request, or missing: no task before can bring it.
        """
        return self.apply_async(request)

    def apply_async(self, kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        """Send it with options of Celery's `apply_async`; return the `AsyncResult`.

        Raises:
            InvalidRequest: as with `delay`; with `args` as with `s`.
        """
        request = kwargs or {}
        if options.get("args"):
            return self.s(**request).apply_async(**options)
        parse_request(request)
        return _signature(request).apply_async(**options)


def _signature(request: dict[str, Any]) -> Signature:
    return Signature(SWAP_TASK, kwargs=request, options={"queue": SWAPS_QUEUE})


swap: Final = Swap()
