"""A real browser for tests that look at pages."""

from __future__ import annotations

import os
import shutil

import pytest


def find_browser() -> str:
    """Return the path of a Chromium; without one the test is skipped, but not in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    if os.environ.get("CI"):  # noqa: TID251 - CI's own variable, not a setting
        pytest.fail("no chromium on PATH: .ci/run installs it")
    pytest.skip("no chromium on PATH: pages are not looked at")
