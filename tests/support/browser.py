"""A real browser for tests that look at pages."""

from __future__ import annotations

import shutil

from support.missing import missing


def find_browser() -> str:
    """Return the path of a Chromium; without one the test is skipped, but not in CI.

    The shell is the same engine without the windows of a desktop: it draws a page for 0.4 times the CPU.
    """
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return missing("chromium")
