"""The bridge from a broker of the product's own, here another Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu import Connection

from support.builders import wait_until
from swapjobs.settings import WorkerSettings
from swapjobs.store import keys
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis, free_port
from swapworker.celery_adapter.bridge import Bridge

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_message_that_comes_while_our_redis_is_away_is_brought_when_it_is_back(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedRedis(tmp_path, port=free_port())
    settings = WorkerSettings(redis_url=server.url)
    client = connect(settings)
    bridge = Bridge(redis_url, Store(client, settings).product_tasks)
    with Connection(redis_url) as product:
        channel = product.default_channel
        product.Producer().publish({}, exchange="", routing_key=keys.SWAPS_QUEUE)
        bridge.start()
        try:
            wait_until(lambda: "the product's broker: ConnectionError" in caplog.text)
            with server:
                wait_until(lambda: client.llen(keys.SWAPS_QUEUE) == 1)
                wait_until(lambda: channel.client.hlen("unacked") == 0)
        finally:
            bridge.stop()
            client.close()
