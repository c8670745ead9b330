"""The vendor's id for a job leads back to the job, without an index; different jobs and uses have different ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies

from swapjobs.contract.job import job_id
from swapjobs.contract.vendor_ids import READABLE, job_of, vendor_id

LOOKS_DERIVED = job_id("default", "x")
tenants = strategies.sampled_from(["default", "a", "b.2", "x-y_z"])
ids = strategies.text("ab2-~ .", min_size=1, max_size=6) | strategies.sampled_from(
    ["a" * 64, "a" * 65, "~~", "~", "order_1", LOOKS_DERIVED, f"{LOOKS_DERIVED}-2", f"{LOOKS_DERIVED}-x"]
)
suffixes = strategies.sampled_from(["-{n}", READABLE, "", "{n}", ".v{n}x"])
prefixes = strategies.sampled_from(["", "stage.", "x"])


@given(tenants, ids, strategies.integers(1, 3), prefixes, suffixes)
def test_it_leads_back_to_the_job(tenant: str, business_id: str, generation: int, prefix: str, suffix: str) -> None:
    job = job_id(tenant, business_id)
    text = vendor_id(job, tenant, business_id, generation, prefix=prefix, suffix=suffix)
    assert job_of(text, prefix=prefix, suffix=suffix) == job


@given(tenants, ids, strategies.integers(1, 30), tenants, ids, strategies.integers(1, 30), suffixes)
def test_no_two_uses_have_the_same_id(
    tenant: str, business_id: str, use: int, other_tenant: str, other_id: str, other_use: int, suffix: str
) -> None:
    one = vendor_id(job_id(tenant, business_id), tenant, business_id, use, suffix=suffix)
    other = vendor_id(job_id(other_tenant, other_id), other_tenant, other_id, other_use, suffix=suffix)
    is_same_job = (tenant, business_id) == (other_tenant, other_id)
    assert (one == other) == (is_same_job and (use == other_use or not suffix))


@given(tenants, ids, strategies.integers(1, 30))
def test_by_default_it_holds_what_the_vendors_examples_hold(tenant: str, business_id: str, generation: int) -> None:
    text = vendor_id(job_id(tenant, business_id), tenant, business_id, generation)
    assert re.fullmatch("[A-Za-z0-9-]{1,64}", text)


@pytest.mark.parametrize(
    ("suffix", "generation", "expected"),
    [("-{n}", 1, "order-1"), (READABLE, 1, "order-1"), (READABLE, 2, "default~order-1~2"), ("", 2, "order-1")],
)
def test_the_callers_own_id_stays_as_it_is_where_it_can(suffix: str, generation: int, expected: str) -> None:
    assert vendor_id(job_id("default", "order-1"), "default", "order-1", generation, suffix=suffix) == expected


@pytest.mark.parametrize("text", ["", "~", "~~", "~short", "a~~", "b~~short~2", "\n", "a~"])
def test_what_can_be_no_such_id_leads_nowhere(text: str) -> None:
    assert job_of(text, suffix=READABLE) is None
    assert job_of(text) is None


def test_another_environments_id_leads_nowhere() -> None:
    assert job_of("live.order-1", prefix="stage.") is None
