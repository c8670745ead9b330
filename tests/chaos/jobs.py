"""The jobs of a run: every field is a function of phase and number, so that a range can be submitted twice."""

from __future__ import annotations

from typing import Any, Final

from swapjobs.contract.job import job_id

PREFIX: Final = "chaos-"
_SECOND_TENANT: Final = "second"


def business_id(phase: str, number: int) -> str:
    return f"{PREFIX}{phase}-{number:06d}"


def tenant_of(number: int) -> str:
    """Return the tenant: two of them share the vendor, since their ids go to it in different forms."""
    return _SECOND_TENANT if number % 4 == 3 else "default"


def id_of(phase: str, number: int) -> str:
    """Return the job's id."""
    return job_id(tenant_of(number), business_id(phase, number))


def request(phase: str, number: int, callback_url: str) -> dict[str, Any]:
    """Return what a producer submits."""
    return {
        "source_url": f"https://pictures.example/{phase}/source-{number}.jpg",
        "target_url": f"https://pictures.example/{phase}/target-{number}.jpg",
        "business_task_id": business_id(phase, number),
        "tenant": tenant_of(number),
        "priority": "interactive" if number % 5 == 0 else "bulk",
        "callback_url": callback_url,
    }
