"""What one worker process is made of, put together in one place."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from swapjobs.store.redis_client import RedisError
from swapjobs.store.store import Store, connect
from swapworker.attempt.executor import Attempts
from swapworker.attempt.lease_keeper import LeaseKeeper
from swapworker.attempt.reads import Reads
from swapworker.delivery.executor import Deliveries
from swapworker.delivery.sender import WebhookSender
from swapworker.process.slot_usage import SlotUsage
from swapworker.process.watchdog import Watchdog
from swapworker.vendor_client.client import VendorClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapjobs.settings import WorkerSettings
    from swapworker.delivery.continuation import TaskEnd

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """The parts that all slots of the process share."""

    settings: WorkerSettings
    store: Store
    attempts: Attempts
    deliveries: Deliveries
    reads: Reads
    leases: LeaseKeeper
    watchdog: Watchdog
    slot_usage: SlotUsage

    def hand_back(self) -> int:
        """Give back what this process still has in hand; return how much. Without Redis its leases have to run out."""
        try:
            return self.attempts.hand_back() + self.deliveries.hand_back()
        except RedisError as error:
            logger.warning("nothing could be handed back: %s", type(error).__name__)
            return 0


def build(settings: WorkerSettings, tell_product: Callable[[TaskEnd], None]) -> Runtime:
    """Put a runtime together; nothing connects before its first use.

    Args:
        settings: The worker's.
        tell_product: Tells a product's own Celery app of the end of its task.
    """
    store = Store(connect(settings, patience_s=30, detect_failover=True), settings)
    watchdog = Watchdog(settings.stall_exit_s, time.monotonic)
    leases = LeaseKeeper(store, settings.lease_s, watchdog)
    slot_usage = SlotUsage()
    vendor = VendorClient(settings)
    attempts = Attempts(
        store.attempts,
        vendor,
        leases,
        settings,
        slot_usage=slot_usage,
        random=random.random,
        callback_url=partial(store.callbacks.url_of, settings.vendor_callback_url),
    )
    reads = Reads(store.reads, vendor, settings)
    deliveries = Deliveries(
        store.deliveries, WebhookSender(settings), settings, tell_product=tell_product, random=random.random
    )
    return Runtime(settings, store, attempts, deliveries, reads, leases, watchdog, slot_usage)
