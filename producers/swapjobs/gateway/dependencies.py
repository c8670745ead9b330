"""What the routes of the gateway share: made once by the app, found by each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from swapjobs.client.swap_client import SwapClient
from swapjobs.gateway.job_watch import Waiting
from swapjobs.settings import GatewaySettings
from swapjobs.store.redis_client import queue_errors

if TYPE_CHECKING:
    from swapjobs.gateway.auth import Access
    from swapjobs.gateway.backpressure import Pressure
    from swapjobs.store.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """The gateway's parts. `client` blocks: call it with `run_in_threadpool`, or in a route without `async`."""

    settings: GatewaySettings
    client: SwapClient
    store: Store
    waiting: Waiting
    access: Access
    pressure: Pressure

    def unattended(self) -> list[str]:
        """Return the queues in which something waits and nobody works; it blocks; cheap while all have workers."""
        with queue_errors():
            return self.store.dispatch.unattended()


def parts_of(request: Request) -> Parts:
    """Return the parts of the app that serves the request."""
    parts: Parts = request.app.state.parts
    return parts


Gateway = Annotated[Parts, Depends(parts_of)]
