"""The sandbox vendor as a Starlette application: its API, its administration, its pictures."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from swapjobs.contract.vendor_tools.tool import PREFIX
from swapsandbox.serving import healthz
from swapsandbox.vendor import pictures_site
from swapsandbox.vendor.admin import admin_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swapsandbox.vendor.service import Vendor


def build_app(vendor: Vendor) -> Starlette:
    """Return the application; it must be served under `replies.ResettableProtocol`.

    The vendor's engine, if it has one, must be running (see `engine.Engine`).
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await vendor.callbacks.close()
        await vendor.fetcher.close()

    routes = [Route("/healthz", healthz), Route(PREFIX + "/{path:path}", vendor.answer, methods=["POST"])]
    routes += admin_routes(vendor)
    routes += pictures_site.routes(vendor.engine)
    return Starlette(routes=routes, lifespan=lifespan)
