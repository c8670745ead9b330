"""Brings products' tasks from a broker of their own (SWAPJOBS_CELERY_BROKER_URL: RabbitMQ, another Redis) to our queue.

A message is acknowledged once it lies in our Redis. One that comes twice is the same task, and so the same job.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from kombu import Connection, Queue
from kombu.mixins import ConsumerMixin

from swapjobs.store.keys import SWAPS_QUEUE

if TYPE_CHECKING:
    from swapjobs.store.product_tasks import ProductTaskStore

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 50


class Bridge(ConsumerMixin):  # type: ignore[misc]  # kombu is untyped
    """Consumes the product's queue `swaps`; connects again whenever it must."""

    def __init__(self, broker_url: str, store: ProductTaskStore) -> None:
        self.connection = Connection(broker_url, connect_timeout=5)
        self._store = store
        self._thread = threading.Thread(target=self.run, name="bridge", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what is not acknowledged stays with the broker."""
        self.should_stop = True
        self._thread.join(5)

    def get_consumers(self, consumer_class: Any, _channel: Any) -> list[Any]:
        """Return the one consumer; the queue is declared by who sends to it, with arguments that are not ours."""
        queue = Queue(SWAPS_QUEUE, no_declare=True)
        return [consumer_class([queue], on_message=self._bring, prefetch_count=_AT_ONCE, auto_declare=False)]

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Say it once for each lost connection."""
        logger.warning("the product's broker can't be reached: %s; again in %.0f s", type(exc).__name__, interval)

    def _bring(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        properties = {name: value for name, value in message.properties.items() if isinstance(value, (str, int))}
        raw = {
            "body": base64.b64encode(body).decode(),
            "headers": message.headers,
            "properties": {**properties, "body_encoding": "base64"},
        }
        self._store.put(json.dumps(raw))
        message.ack()
