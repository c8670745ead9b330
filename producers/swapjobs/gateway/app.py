"""Puts the gateway together: parts, routes, errors, and what is around every request."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from swapjobs.client.swap_client import SwapClient
from swapjobs.gateway import problems
from swapjobs.gateway.auth import Access
from swapjobs.gateway.backpressure import Pressure
from swapjobs.gateway.broadcast import Broadcast
from swapjobs.gateway.console import router as console
from swapjobs.gateway.dependencies import Parts
from swapjobs.gateway.direct_route import DirectRoutes
from swapjobs.gateway.group_submit import GroupSubmit
from swapjobs.gateway.job_watch import JobWatch
from swapjobs.gateway.middleware import Edge
from swapjobs.gateway.openapi import document
from swapjobs.gateway.routes import (
    batches,
    docs,
    health,
    jobs,
    models,
    operate,
    operations,
    vendor_callbacks,
    vendor_compat,
    webhooks,
)
from swapjobs.store.store import Store, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from swapjobs.settings import GatewaySettings

_DRAWN_EVERY_S: Final = 3.0  # the console's overview, while somebody looks at it
_SENT: Final = ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer", "X-Request-Id"]
_SHOWN: Final = [
    *("Idempotent-Replayed", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After"),
    "X-Request-Id",
]


def make_app(settings: GatewaySettings) -> FastAPI:
    """Return the app. It connects to Redis with the first request; `app.state.parts` holds what its routes share."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        redis_client = connect(settings)
        store = Store(redis_client, settings)
        with SwapClient(settings) as client, GroupSubmit(client) as submits:
            async with JobWatch(settings) as job_watch:
                app.state.parts = Parts(
                    settings=settings,
                    client=client,
                    store=store,
                    submits=submits,
                    job_watch=job_watch,
                    access=Access(store.api_keys, settings),
                    pressure=Pressure(store.dispatch, settings.gateway_max_queued),
                    live=Broadcast(_DRAWN_EVERY_S),
                )
                yield
        store.close()

    app = _App(
        title="swapjobs",
        version=version("swapjobs"),
        summary="A job queue in front of a face-swap API",
        lifespan=lifespan,
        docs_url=None,  # ours is in docs.py
        redoc_url=None,
        max_body_size=settings.gateway_max_body_bytes,
        redirect_slashes=False,
    )
    problems.install(app)
    app.include_router(jobs.direct)
    api = (jobs, batches, webhooks, operations, operate, models)
    for routes in (*api, vendor_callbacks, vendor_compat, health, docs):
        app.include_router(routes.router)
    if settings.console:
        app.include_router(console.router)
    app.add_middleware(DirectRoutes, router=jobs.direct, handlers=app.exception_handlers)
    if settings.gateway_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.gateway_cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_SENT,
            expose_headers=_SHOWN,
        )
    return app


class _App(FastAPI):
    """FastAPI with our edge outside of its own, so that no answer leaves without id, headers and a line in the log."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        return Edge(super().build_middleware_stack())
