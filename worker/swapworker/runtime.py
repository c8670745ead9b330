"""What one worker process is made of, put together in one place."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swapjobs.store.jobs import JobStore, connect
from swapworker.attempt.executor import Attempts
from swapworker.attempt.lease_keeper import Leases
from swapworker.delivery.executor import Deliveries
from swapworker.delivery.sender import WebhookSender
from swapworker.process.slot_usage import Meter
from swapworker.process.watchdog import Progress
from swapworker.vendor_client.client import VendorClient

if TYPE_CHECKING:
    from swapjobs.settings import WorkerSettings


@dataclass(frozen=True)
class Runtime:
    """The parts that all slots of the process share."""

    settings: WorkerSettings
    store: JobStore
    attempts: Attempts
    deliveries: Deliveries
    leases: Leases
    progress: Progress
    meter: Meter


def build(settings: WorkerSettings) -> Runtime:
    """Put a runtime together; nothing connects before its first use."""
    store = JobStore(connect(settings, patience_s=30, meets=True), settings)
    progress = Progress(settings.stall_exit_s, time.monotonic)
    leases = Leases(store, settings.lease_s, progress)
    meter = Meter()
    attempts = Attempts(store, VendorClient(settings), leases, settings, meter=meter, random=random.random)
    deliveries = Deliveries(store, WebhookSender(settings), settings, random=random.random)
    return Runtime(settings, store, attempts, deliveries, leases, progress, meter)
