"""What a test needs and is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, for this machine has no such program; in CI fail, since .ci/run installs it."""
    if os.environ.get("CI"):  # noqa: TID251 - CI's own variable, not a setting
        pytest.fail(f"no {what} on PATH: .ci/run installs it")
    pytest.skip(f"no {what} on PATH")
