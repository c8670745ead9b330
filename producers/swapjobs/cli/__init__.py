"""The command line `swapjobs`."""

from __future__ import annotations

from swapjobs.cli.main import main

__all__ = ["main"]
