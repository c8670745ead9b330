"""The sandbox vendor: the remote API as a Starlette application.

Billing: a task is billed when it succeeded. Failures (no face, unreachable picture) are not billed.
A call that is refused, by a fault or by the rate limit, before any work costs nothing. Sending a business id twice
does the work twice and is billed twice, as a pay-per-call vendor would; `GET /_sandbox/stats` counts it.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse

from swapjobs.contract.output import ImageOutput, JsonOutput, TextOutput
from swapjobs.contract.vendor_api import KEY_ID_HEADER, KEY_SECRET_HEADER, BadBody, CallBody, read_call, read_query
from swapjobs.contract.vendor_tools.reply import Family
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.vendor_tools.tool_input import ToolInput
from swapsandbox.vendor import models, pictures_site
from swapsandbox.vendor.answers import envelope, task_body
from swapsandbox.vendor.callbacks import Callbacks
from swapsandbox.vendor.engine import Engine, SwapRefused, Work
from swapsandbox.vendor.fault_plan import FaultPlan, Verdict
from swapsandbox.vendor.fault_replies import Reset, fault_reply, throttled
from swapsandbox.vendor.faults import Fault, FaultName
from swapsandbox.vendor.fetch import Fetcher
from swapsandbox.vendor.ledger import OVER_LIMIT, Ledger
from swapsandbox.vendor.plans import plan_of
from swapsandbox.vendor.rate_limit import RateLimit
from swapsandbox.vendor.records import Call, Kind, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from starlette.responses import Response

    from swapjobs.contract.output import Output
    from swapjobs.contract.vendor_tools.generation import ModelList
    from swapjobs.contract.vendor_tools.tool import Tool
    from swapsandbox.operations.made import Made

_AUDIT: Final = {"confidence": None, "label": "nonLabel"}


@dataclass(slots=True)
class Vendor:
    """The state of one sandbox vendor.

    Attributes:
        engine: Does the work; None answers every call at once with a fixed result (for load tests).
        faults: The faults in force; may be replaced at any time.
        limit: The vendor's own rate limit on calls of all kinds together; None is unlimited.
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
    callbacks: Callbacks = field(init=False)
    faults: FaultPlan = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.faults = FaultPlan(self.first_faults, self.seed)
        self.callbacks = Callbacks(self.ledger, self.stopping)

    def reset(self) -> None:
        """Forget all calls and tasks, and start the first faults and the rate limit anew."""
        self.ledger.reset()
        self.faults = FaultPlan(self.first_faults, self.seed)
        if self.limit is not None:
            self.limit = RateLimit(self.limit.rate, self.limit.burst)

    async def answer(self, request: Request) -> Response:
        """Answer a call below the vendor's prefix."""
        path: str = request.path_params["path"]
        tool = next((tool for tool in TOOLS.values() if tool.path == path), None)
        if tool is not None and not tool.is_task:
            return await self._call(request, Kind.LIST, partial(read_call, tool), partial(self._list, request))
        if tool is not None:
            return await self._call(request, Kind.SWAP, partial(read_call, tool), partial(self._swap, request, tool))
        asked = [tool for tool in TOOLS.values() if tool.query and path in {way.path for way in tool.query.ways}]
        if not asked:
            return PlainTextResponse("no such path", 404)
        return await self._call(request, Kind.QUERY, _read_query, partial(self._query, request, asked, path))

    async def _call(
        self,
        request: Request,
        kind: Kind,
        read: Callable[[bytes], CallBody],
        answer: Callable[[CallBody, Verdict], Coroutine[Any, Any, Response]],
    ) -> Response:
        """Log a call, pass it through limit, credentials and faults, and answer it."""
        arrived = self.ledger.now()
        body, problem = await _read(request, read)
        business_id = body.caller_id if body else ""
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

    async def _swap(self, request: Request, tool: Tool, body: CallBody, verdict: Verdict) -> Response:
        fault = verdict.fault
        if fault and fault.replaces_reply and not fault.after_work:
            return await self._faulty(request, fault)
        task = self.ledger.start(tool.name, body.caller_id)
        base_url = str(request.base_url)
        if tool.answers_at_once or self.engine is None:
            await self._finish(task, tool, body, base_url, fault)
        else:
            self.callbacks.start(self._finish(task, tool, body, base_url, fault))
        if fault and fault.replaces_reply:
            return await self._faulty(request, fault)
        return JSONResponse(task_body(tool, task, task.seen_at(self.ledger.now()), is_query=False))

    async def _finish(self, task: Task, tool: Tool, body: CallBody, base_url: str, fault: Fault | None) -> None:
        """Do the work of a task, book it, and call back where that is wanted."""
        if fault and fault.name is FaultName.STATUS_2:
            outcome = Outcome((), fault.msg or "")
        else:
            outcome = await self._work(tool, body, base_url)
        hidden_s = fault.s or 0.0 if fault and fault.name is FaultName.PENDING else 0.0
        self.ledger.finish(task, outcome, visible_after_s=hidden_s)
        if body.callback_url and tool.takes_callback:
            body_told = task_body(tool, task, outcome, is_query=True)
            self.callbacks.start(self.callbacks.send(body.callback_url, body_told, hidden_s))

    async def _query(
        self, request: Request, tools: Sequence[Tool], path: str, body: CallBody, verdict: Verdict
    ) -> Response:
        if verdict.fault:
            return await self._faulty(request, verdict.fault)
        task = self.ledger.find([tool.name for tool in tools], body.caller_id)
        if task is None:
            return envelope("200", "success")
        seen = task.seen_at(self.ledger.now())
        return JSONResponse(task_body(TOOLS[task.tool], task, seen, is_query=True, path=path))

    async def _list(self, request: Request, body: CallBody, verdict: Verdict) -> Response:
        if verdict.fault:
            return await self._faulty(request, verdict.fault)
        return envelope("200", "success", models.listed(cast("ModelList", body.input)))

    async def _work(self, tool: Tool, body: CallBody, base_url: str) -> Outcome:
        plan = plan_of(tool, body.input)
        if not plan.operation:
            return _ACCEPTED
        if self.engine is None:
            return _fixed_outcome(tool.reply.family, base_url)
        try:
            fetches = [self.fetcher.fetch(url, part) for part, url in plan.pictures.items()]
            pictures = tuple(await asyncio.gather(*fetches))
            name, made = await self.engine.do(Work(plan.operation, pictures, plan.options))
        except SwapRefused as refusal:
            return Outcome((), str(refusal))
        return Outcome(_outputs_of(name, made, base_url))

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


_ACCEPTED: Final = Outcome((JsonOutput(value={"accepted": True}),))


@lru_cache(maxsize=64)
def _fixed_outcome(family: Family, base_url: str) -> Outcome:
    # One object for all: a rehearsal of a million jobs keeps a million tasks.
    if family is Family.TEXT:
        return Outcome((TextOutput(text="the sandbox was told to do nothing"),))
    return Outcome((ImageOutput(url=f"{base_url}outputs/{pictures_site.NO_SWAP_NAME}"),))


def _outputs_of(name: str, made: Made, base_url: str) -> tuple[Output, ...]:
    """Return the outputs of a result, its pictures at their addresses here."""
    outputs: list[Output] = [TextOutput(text=text) for text in made.texts]
    for number, picture in enumerate(made.pictures, 1):
        place = name if number == 1 else f"{name}-{number}"
        seed = str(made.seeds[number - 1]) if made.seeds else None
        url = f"{base_url}outputs/{place}{pictures_site.suffix(picture)}"
        outputs.append(ImageOutput(url=url, seed=seed, audit=[dict(_AUDIT)], audit_passed=True))
    return (*outputs, JsonOutput(value=made.value)) if made.value is not None else tuple(outputs)


def _read_query(raw: bytes) -> CallBody:
    return CallBody(read_query(raw), ToolInput())


async def _read(request: Request, read: Callable[[bytes], CallBody]) -> tuple[CallBody | None, str]:
    """Return the body, or None and what is wrong with it."""
    try:
        return read(await request.body()), ""
    except BadBody as error:
        return None, str(error)
    except ClientDisconnect:
        return None, "the client went away"
