"""What the shop does before and after a swap."""

from __future__ import annotations

from typing import Any

from celery import shared_task


@shared_task  # type: ignore[untyped-decorator]  # celery is untyped
def portrait_of(url: str) -> dict[str, str]:
    """Look the customer's portrait up; what is returned are fields of the swap."""
    return {"source_url": url}


@shared_task  # type: ignore[untyped-decorator]  # celery is untyped
def show(job: dict[str, Any]) -> str:
    """Take the job of the swap; here the order would be saved with its picture."""
    return str(job["output_url"])
