"""A real browser for tests that look at pages."""

from __future__ import annotations

import shutil

from support.missing import missing


def find_browser() -> str:
    """Return the path of a Chromium; without one the test is skipped, but not in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return missing("chromium")
