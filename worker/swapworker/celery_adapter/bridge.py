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
_AGAIN_S: Final = 1.0
_NOT_FOUND: Final = 404  # AMQP 0-9-1, "reply-code"


class Bridge(ConsumerMixin):  # type: ignore[misc]  # kombu is untyped
    """Consumes the product's queue `swaps`; connects again whenever it must."""

    connect_max_retries = 1  # within one connection; `run` tries again for ever

    def __init__(self, broker_url: str, store: ProductTaskStore) -> None:
        self.connection = Connection(broker_url, connect_timeout=5)
        self._store = store
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self.run, name="bridge", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what is not acknowledged stays with the broker."""
        self.should_stop = True
        self._stopped.set()
        self._thread.join(5)

    def run(self) -> None:
        """Consume until it is stopped, whatever happens to the broker or to our Redis; say once what does."""
        said = ""
        while not self.should_stop:
            try:
                for _ in self.consume(limit=None):
                    said = ""
            except Exception as error:  # noqa: BLE001 - of kombu, of the broker's library, of redis-py
                missing = getattr(error, "code", None) == _NOT_FOUND
                why = f"waits for its first task in {SWAPS_QUEUE}" if missing else type(error).__name__
                if why != said:
                    logger.log(logging.INFO if missing else logging.WARNING, "the product's broker: %s", why)
                said = why
                self._stopped.wait(_AGAIN_S)

    def get_consumers(self, consumer_class: Any, _channel: Any) -> list[Any]:
        """Return the one consumer; the queue is declared by who sends to it, with arguments that are not ours."""
        queue = Queue(SWAPS_QUEUE, no_declare=True)
        return [consumer_class([queue], on_message=self._bring, prefetch_count=_AT_ONCE, auto_declare=False)]

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Say nothing, `run` does."""

    def _bring(self, message: Any) -> None:
        body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
        properties = {name: value for name, value in message.properties.items() if isinstance(value, (str, int))}
        raw = {
            "body": base64.b64encode(body).decode(),
            "headers": message.headers,
            "properties": {**properties, "body_encoding": "base64"},
        }
        try:
            self._store.put(json.dumps(raw))
        except Exception:
            message.requeue()  # at once, not when the broker sees that this connection is gone
            raise
        message.ack()
