"""Several messages in one round trip: kombu takes one for each BRPOP, and goes once around its event loop for it."""

# ruff: noqa: SLF001 - a channel's own state; kombu has no public place for this

from __future__ import annotations

import json
import time
from queue import Empty
from typing import Any, Final

from kombu.utils.encoding import bytes_to_str

# As far as slots are free, so that each is begun at once. More would leave little to the other workers.
AT_ONCE: Final = 8


class BulkFetch:
    """Beside a channel of kombu's: its two methods around BRPOP, with BLMPOP."""

    def _brpop_start(self, timeout: float | None = None) -> None:
        channel: Any = self
        queues = channel._queue_cycle.consume(len(channel.active_queues))
        if not queues:
            return
        lists = [channel._q_for_pri(queue, step) for step in channel.priority_steps for queue in queues]
        free = channel.qos.can_consume_max_estimate()  # None: without a limit
        count = AT_ONCE if free is None else max(min(free, AT_ONCE), 1)
        wait_s = timeout or channel.brpop_timeout or 0
        channel._in_poll = channel.client.connection
        channel._brpop_sent_at = time.monotonic()
        channel.client.connection.send_command("BLMPOP", wait_s, len(lists), *lists, "RIGHT", "COUNT", count)

    def _brpop_read(self, **options: Any) -> bool:
        channel: Any = self
        try:
            try:
                answer = channel.client.parse_response(channel.client.connection, "BLMPOP", **options)
            except channel.connection_errors:
                channel.client.connection.disconnect()  # so that the loop connects anew
                raise
            if not answer:
                raise Empty
            taken_from, messages = answer
            queue = bytes_to_str(taken_from).rsplit(channel.sep, 1)[0]
            channel._queue_cycle.rotate(queue)
            for message in messages:
                channel.connection._deliver(json.loads(message), queue)
            return True
        finally:
            channel._in_poll = None
            channel._flush_brpop_reauth()
