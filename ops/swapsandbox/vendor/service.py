"""The sandbox vendor: the remote face-swap API as a Starlette application.

Billing: a task is billed when its swap succeeded (status 1). Failures (no face, unreachable picture) are not billed.
A call that is refused, by a fault or by the rate limit, before any work costs nothing. Sending a business id twice
does the work twice and is billed twice, as a pay-per-call vendor would; `GET /_sandbox/stats` counts it.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect, Request

from swapjobs.contract.vendor_api import (
    BODIES,
    KEY_ID_HEADER,
    KEY_SECRET_HEADER,
    BadBody,
    Body,
    QueryBody,
    SwapBody,
    read_body,
)
from swapsandbox.vendor import pictures_site
from swapsandbox.vendor.answers import envelope, face_index_of, fidelity_of, task_answer
from swapsandbox.vendor.engine import Engine, SwapInputs, SwapRefused
from swapsandbox.vendor.fault_plan import FaultPlan, Verdict
from swapsandbox.vendor.fault_replies import Reset, fault_reply, throttled
from swapsandbox.vendor.faults import Fault, FaultName
from swapsandbox.vendor.fetch import Fetcher
from swapsandbox.vendor.ledger import OVER_LIMIT, Ledger
from swapsandbox.vendor.rate_limit import RateLimit
from swapsandbox.vendor.records import Call, Kind, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from starlette.responses import Response

_TOOL_OF_V1: Final = "roop"


@dataclass(slots=True)
class Vendor:
    """The state of one sandbox vendor.

    Attributes:
        engine: Swaps the faces; None answers every swap at once with a fixed picture (for load tests).
        faults: The faults in force; may be replaced at any time.
        limit: The vendor's own rate limit on swaps and queries together; None is unlimited.
        credentials: Key id and secret that calls must carry; None accepts any.
        first_faults: What a reset goes back to.
        stopping: Set when the server ends, so that no wait holds it up.
    """

    engine: Engine | None = None
    first_faults: Sequence[Fault] = ()
    seed: int = 0
    limit: RateLimit | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    ledger: Ledger = field(default_factory=Ledger)
    fetcher: Fetcher = field(default_factory=Fetcher)
    faults: FaultPlan = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.faults = FaultPlan(self.first_faults, self.seed)

    def reset(self) -> None:
        """Forget all calls and tasks, and start the first faults and the rate limit anew."""
        self.ledger.reset()
        self.faults = FaultPlan(self.first_faults, self.seed)
        if self.limit is not None:
            self.limit = RateLimit(self.limit.rate, self.limit.burst)

    async def swap(self, tool: str, request: Request) -> Response:
        """Answer `POST …/tool/{toolCode}`."""
        return await self._call(request, Kind.SWAP, BODIES[tool], partial(self._swap, request, tool))

    async def query(self, tool: str, request: Request) -> Response:
        """Answer `POST …/tool/{toolCode}/queryTask`."""
        return await self._call(request, Kind.QUERY, QueryBody, partial(self._query, request, tool))

    async def _call(
        self,
        request: Request,
        kind: Kind,
        body_type: type[Body],
        answer: Callable[[Body, Verdict], Coroutine[Any, Any, Response]],
    ) -> Response:
        """Log a call, pass it through limit, credentials and faults, and answer it."""
        arrived = self.ledger.now()
        body, problem = await _read(request, body_type)
        business_id = body.business_task_id if body else ""
        call = self.ledger.arrive(kind, business_id, arrived)
        status: int | None = None
        try:
            response = self._refusal(call, request)
            if response is None and body is not None:
                verdict = self.faults.judge(kind, business_id)
                if verdict.fault:
                    self.ledger.blame(call, verdict.fault.name)
                await self._pause(verdict.delay_s)
                # Else the work of a call from before a reset would be in the books after it.
                response = Reset() if self.ledger.is_forgotten(call) else await answer(body, verdict)
            response = response or envelope("400", problem)
            status = None if isinstance(response, Reset) else response.status_code
            return response
        finally:
            self.ledger.answer(call, status)

    def _refusal(self, call: Call, request: Request) -> Response | None:
        wait_s = self.limit.wait_s(call.at) if self.limit else 0.0
        if wait_s > 0:
            self.ledger.blame(call, OVER_LIMIT)
            return throttled(wait_s)
        if self.credentials is not None:
            given = (request.headers.get(KEY_ID_HEADER, ""), request.headers.get(KEY_SECRET_HEADER, ""))
            if not hmac.compare_digest("\n".join(given).encode(), "\n".join(self.credentials).encode()):
                return envelope("401", "access key refused")
        return None

    async def _swap(self, request: Request, tool: str, body: SwapBody, verdict: Verdict) -> Response:
        fault = verdict.fault
        if fault and fault.replaces_reply and not fault.after_work:
            return await self._faulty(request, fault)
        task = self.ledger.start(tool, body.business_task_id)
        if fault and fault.name is FaultName.STATUS_2:
            outcome = Outcome(None, fault.msg or "")
        else:
            outcome = await self._work(request, body)
        hidden_s = fault.s or 0.0 if fault and fault.name is FaultName.PENDING else 0.0
        self.ledger.finish(task, outcome, visible_after_s=hidden_s)
        if fault and fault.replaces_reply:
            return await self._faulty(request, fault)
        return task_answer(task, task.seen_at(self.ledger.now()), with_business_id=tool != _TOOL_OF_V1)

    async def _query(self, request: Request, tool: str, body: QueryBody, verdict: Verdict) -> Response:
        if verdict.fault:
            return await self._faulty(request, verdict.fault)
        task = self.ledger.find(tool, body.business_task_id)
        if task is None:
            return envelope("200", "success")
        return task_answer(task, task.seen_at(self.ledger.now()), with_business_id=True)

    async def _work(self, request: Request, body: SwapBody) -> Outcome:
        if self.engine is None:
            return _fixed_outcome(str(request.base_url))
        try:
            fetches = [self.fetcher.fetch(url, "source picture") for url in body.source_urls]
            *sources, target = await asyncio.gather(*fetches, self.fetcher.fetch(body.target_url, "target picture"))
            inputs = SwapInputs(tuple(sources), target, face_index_of(body), fidelity_of(body))
            name = await self.engine.swap(inputs)
        except SwapRefused as refusal:
            return Outcome(None, str(refusal))
        return Outcome(f"{request.base_url}outputs/{name}{pictures_site.suffix(self.engine.result(name))}")

    async def _faulty(self, request: Request, fault: Fault) -> Response:
        if fault.name is FaultName.HANG:
            await self._pause(fault.s or 0.0, or_gone=request)
        return fault_reply(fault)

    async def _pause(self, seconds: float, *, or_gone: Request | None = None) -> None:
        """Wait, but not beyond the server's end nor, if asked, the client's patience."""
        if seconds <= 0:
            return
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self.stopping.wait())]
        if or_gone is not None:
            # The body is read, so the next message can only be the disconnect.
            waits.append(asyncio.ensure_future(or_gone.receive()))
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()


@lru_cache(maxsize=64)
def _fixed_outcome(base_url: str) -> Outcome:
    # One object for all: a rehearsal of a million jobs keeps a million tasks.
    return Outcome(f"{base_url}outputs/{pictures_site.NO_SWAP_NAME}")


async def _read(request: Request, body_type: type[Body]) -> tuple[Body | None, str]:
    """Return the body, or None and what is wrong with it."""
    try:
        return read_body(body_type, await request.body()), ""
    except BadBody as error:
        return None, str(error)
    except ClientDisconnect:
        return None, "the client went away"
