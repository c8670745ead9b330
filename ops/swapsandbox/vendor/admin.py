"""The sandbox's own controls under `/_sandbox`: counts, calls, tasks, faults, rate limit, reset.

GET  /_sandbox/stats     the counts of `ledger.Stats`
GET  /_sandbox/calls     the log of calls; ?since=<seconds since the epoch>, ?id=<business id>
GET  /_sandbox/tasks     per business id: calls, queries, billings, its newest task; ?id=<business id>
GET  /_sandbox/faults    the faults in force, and how often each was applied
PUT  /_sandbox/faults    replaces them: a JSON list of compact texts or objects (see `faults`)
GET  /_sandbox/rate      the rate limit
PUT  /_sandbox/rate      replaces it: {"rate": "5/s", "burst": 2}; a rate of null lifts it
POST /_sandbox/reset     forgets all calls and tasks, and starts the first faults and the rate limit anew
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swapsandbox.vendor.fault_plan import FaultPlan
from swapsandbox.vendor.faults import read_fault
from swapsandbox.vendor.rate_limit import RateLimit, parse_rate

if TYPE_CHECKING:
    from starlette.requests import Request

    from swapsandbox.vendor.service import Vendor


def admin_routes(vendor: Vendor) -> list[Route]:
    """Return the routes that look into this vendor and steer it."""
    admin = _Admin(vendor)
    return [
        Route("/_sandbox/stats", admin.stats),
        Route("/_sandbox/calls", admin.calls),
        Route("/_sandbox/tasks", admin.tasks),
        Route("/_sandbox/faults", admin.faults),
        Route("/_sandbox/faults", admin.replace_faults, methods=["PUT"]),
        Route("/_sandbox/rate", admin.rate),
        Route("/_sandbox/rate", admin.replace_rate, methods=["PUT"]),
        Route("/_sandbox/reset", admin.reset, methods=["POST"]),
    ]


class _Admin:
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    async def stats(self, _: Request) -> Response:
        return JSONResponse(self._vendor.ledger.stats())

    async def calls(self, request: Request) -> Response:
        try:
            since = float(request.query_params.get("since", 0))
        except ValueError:
            return _refused("since must be a number of seconds since the epoch")
        return JSONResponse(self._vendor.ledger.calls(since=since, business_id=request.query_params.get("id")))

    async def tasks(self, request: Request) -> Response:
        return JSONResponse(self._vendor.ledger.accounts(request.query_params.get("id")))

    async def faults(self, _: Request) -> Response:
        return JSONResponse(self._vendor.faults.describe())

    async def replace_faults(self, request: Request) -> Response:
        try:
            given = await request.json()
            if not isinstance(given, list):
                return _refused("expected a JSON list of faults")
            plan = FaultPlan([read_fault(one) for one in given], self._vendor.seed)
        except ValueError as error:
            return _refused(str(error))
        self._vendor.faults = plan
        return await self.faults(request)

    async def rate(self, _: Request) -> Response:
        limit = self._vendor.limit
        return JSONResponse({"rate": limit and limit.rate, "burst": limit and limit.burst})

    async def replace_rate(self, request: Request) -> Response:
        try:
            self._vendor.limit = _read_limit(await request.json())
        except (ValueError, TypeError) as error:
            return _refused(str(error))
        return await self.rate(request)

    async def reset(self, _: Request) -> Response:
        self._vendor.reset()
        return JSONResponse({"status": "ok"})


def _read_limit(given: Any) -> RateLimit | None:
    if not isinstance(given, dict) or "rate" not in given:
        raise ValueError('expected {"rate": "5/s", "burst": 2} or {"rate": null}')
    if given["rate"] is None:
        return None
    return RateLimit(parse_rate(str(given["rate"])), int(given.get("burst", 2)))


def _refused(why: str) -> Response:
    return JSONResponse({"error": why}, 400)
