"""What one worker process is made of, put together in one place."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swapjobs.store import JobStore, connect
from swapworker.attempt import Attempts
from swapworker.delivery import Deliveries
from swapworker.leases import Leases
from swapworker.vendor.client import VendorClient
from swapworker.webhooks.sender import WebhookSender

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings


@dataclass(frozen=True)
class Runtime:
    """The parts that all slots of the process share."""

    settings: WorkerSettings
    store: JobStore
    attempts: Attempts
    deliveries: Deliveries


def build(settings: WorkerSettings) -> Runtime:
    """Put a runtime together; nothing connects before its first use."""
    store = JobStore(connect(settings, patience_s=30), settings)
    attempts = Attempts(store, VendorClient(settings), Leases(store, settings.lease_s), settings, random=random.random)
    deliveries = Deliveries(store, WebhookSender(settings), settings, random=random.random)
    return Runtime(settings, store, attempts, deliveries)
