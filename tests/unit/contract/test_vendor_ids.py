"""The vendor's id for a job leads back to the job, without an index."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from swapjobs.contract.job import job_id
from swapjobs.contract.vendor_ids import job_of, vendor_id

tenants = strategies.sampled_from(["default", "a", "b.2", "x-y_z"])
ids = strategies.text("ab2-~ .", min_size=1, max_size=6) | strategies.sampled_from(["a" * 64, "a" * 65, "~~", "~"])


@given(tenants, ids, strategies.integers(1, 3), strategies.sampled_from(["", "stage.", "x"]))
def test_it_leads_back_to_the_job(tenant: str, business_id: str, generation: int, prefix: str) -> None:
    job = job_id(tenant, business_id)
    assert job_of(vendor_id(job, tenant, business_id, generation, prefix=prefix), prefix=prefix) == job


@pytest.mark.parametrize("text", ["", "~", "~~", "~short", "a~~", "b~~short~2", "\n", "a~"])
def test_what_can_be_no_such_id_leads_nowhere(text: str) -> None:
    assert job_of(text) is None


def test_another_environments_id_leads_nowhere() -> None:
    assert job_of("live.order-1", prefix="stage.") is None
