"""Until when presigned URLs work, as their signatures tell; what can't be read means nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.builders import make_request
from swapjobs.contract.signed_urls import signed_until, until_of

AT = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
EPOCH = int(AT.timestamp())


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261127T070000Z&X-Amz-Expires=3600&X-Amz-Signature=ab",
        "x-goog-date=20261127T070000Z&x-goog-expires=3600&x-goog-signature=ab",
        "x-oss-date=20261127T070000Z&x-oss-expires=3600&x-oss-signature=ab",
        f"AWSAccessKeyId=A&Signature=ab%3D&Expires={EPOCH}",
        f"OSSAccessKeyId=A&Expires={EPOCH}&Signature=ab",
        f"Expires={EPOCH}&Signature=ab&Key-Pair-Id=K",
        "sv=2024-11-04&se=2026-11-27T08%3A00%3A00Z&sr=b&sig=ab",
        f"e={EPOCH}&token=ab:cd",
    ],
)
def test_the_end_of_a_signature_is_read(query: str) -> None:
    assert signed_until(f"https://pictures.example/a.jpg?{query}") == AT


@pytest.mark.parametrize(
    "query",
    [
        "",
        "Expires=1795766400",  # of what?
        "e=1795766400",
        "se=2026-11-27",
        "X-Amz-Expires=3600",
        "X-Amz-Date=20261399T070000Z&X-Amz-Expires=3600",
        "Signature=a&Expires=never",
        "Signature=a&Expires=0",
        "sig=a&se=tomorrow",
        "width=200&expires=soon",
    ],
)
def test_what_cannot_be_read_means_nothing(query: str) -> None:
    assert signed_until(f"https://pictures.example/a.jpg?{query}") is None


@given(st.text(max_size=200))
def test_no_query_raises(query: str) -> None:
    signed_until(f"https://pictures.example/a.jpg?{query}")


def test_the_first_end_counts() -> None:
    later = f"https://pictures.example/a.jpg?Signature=a&Expires={EPOCH + 60}"
    first = f"https://pictures.example/b.jpg?Signature=a&Expires={EPOCH}"
    result = f"{EPOCH * 1000}/2026-11-27T08:00:00Z"
    assert until_of(make_request(source_url=later, target_url=first)) == result
    assert until_of(make_request(tool="v2/roop", source_url=first, target_url=later)) == result
    assert until_of(make_request()) == "-"
