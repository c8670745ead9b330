"""A webhook receiver for rehearsals: checks signatures, keeps count, and fails on demand.

    POST /<any path>          a delivery: 200, 401 if its signature is wrong, or what the plan says
    GET  /_receiver/events    one entry per event (webhook id), in the order of the first try
    PUT  /_receiver/plan      {"statuses": [500, "hang", 503], "hang_s": 60}: the answers to the first tries of each
                              event; the tries after them are answered in earnest
    POST /_receiver/reset     forgets all events and the plan
    GET  /healthz

Start it with `python -m swapsandbox.receiver --port 0 --secret whsec_...`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import standardwebhooks
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swapjobs.contract.job import explain
from swapsandbox.serving import PortUnavailable, RemoteHostRefused, check_host, healthz, serve
from swapsandbox.vendor.fault_replies import Reset

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORT: Final = 8791


class Plan(BaseModel):
    """How the first tries of each event are answered: with an HTTP status, or not at all for `hang_s` seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    statuses: tuple[Annotated[int, Field(ge=200, le=599)] | Literal["hang"], ...] = ()
    hang_s: Annotated[float, Field(gt=0)] = 60.0

    def answer(self, number: int) -> int | Literal["hang"] | None:
        """Return the answer to the try of this number, counted from 1; None is an answer in earnest."""
        return self.statuses[number - 1] if number <= len(self.statuses) else None


@dataclass(slots=True)
class Event:
    """One webhook id and what came for it.

    Attributes:
        id: The header `webhook-id`.
        path: The path that it was sent to.
        type: The event's type, e.g. `swap.succeeded`; None if the body was not readable.
        job_id: `data.id` of the body.
        verified: Whether the signature of the latest try was right.
        problem: Why it was not.
        tries: Number of deliveries seen.
        times: When they came, in seconds since the epoch.
        answers: What they were answered: HTTP statuses, or `hang`.
        traceparent: The header of the latest try.
    """

    id: str
    path: str
    type: str | None = None
    job_id: str | None = None
    verified: bool = False
    problem: str | None = None
    tries: int = 0
    times: list[float] = field(default_factory=list)
    answers: list[int | str] = field(default_factory=list)
    traceparent: str | None = None


class Receiver:
    """The state of one receiver.

    Args:
        secrets: Any of them may have signed (`whsec_...`); with none, no delivery counts as verified, and none is
            refused for that.

    Raises:
        ValueError: a secret is not the base64 text that Standard Webhooks asks for.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._checks = [_check_of(secret) for secret in secrets]
        self._lock = threading.Lock()
        self._events: dict[str, Event] = {}
        self._plan = Plan()
        self.stopping = asyncio.Event()

    def app(self) -> Starlette:
        """Return the application; `hang` needs `replies.ResettableProtocol`."""
        return Starlette(
            routes=[
                Route("/healthz", healthz),
                Route("/_receiver/events", self._list),
                Route("/_receiver/plan", self._replace_plan, methods=["PUT"]),
                Route("/_receiver/reset", self._reset, methods=["POST"]),
                Route("/{path:path}", self._receive, methods=["POST"]),
            ]
        )

    async def _receive(self, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        event, answer = self._note(request, body)
        if answer == "hang":
            await self._hang(request)
            return Reset()
        return JSONResponse({"verified": event.verified, "problem": event.problem}, answer)

    def _note(self, request: Request, body: bytes) -> tuple[Event, int | Literal["hang"]]:
        """Record a try and decide its answer."""
        problem = self._problem(body, request)
        with self._lock:
            event_id = request.headers.get("webhook-id", "")
            event = self._events.setdefault(event_id, Event(event_id, request.url.path))
            event.type, event.job_id = _describe(body)
            event.verified, event.problem = problem is None, problem
            event.traceparent = request.headers.get("traceparent")
            event.tries += 1
            event.times.append(time.time())
            planned = self._plan.answer(event.tries)
            answer = planned if planned is not None else 401 if problem and self._checks else 200
            event.answers.append(answer)
            return event, answer

    def _problem(self, body: bytes, request: Request) -> str | None:
        """Return why the signature is not right, or None if it is."""
        problem = "no secret configured"
        for check in self._checks:
            try:
                check.verify(body, dict(request.headers), json_parse=False)
            except standardwebhooks.WebhookVerificationError as error:
                problem = str(error)
            except ValueError:  # the library lets malformed headers and bodies through to the decoders
                problem = "Malformed signature or body"
            else:
                return None
        return problem

    async def _hang(self, request: Request) -> None:
        """Keep the sender waiting until the time is over, it gives up, or the server ends."""
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self.stopping.wait()),
            asyncio.ensure_future(request.receive()),
        ]
        _, pending = await asyncio.wait(waits, timeout=self._plan.hang_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    async def _list(self, _: Request) -> Response:
        with self._lock:
            return JSONResponse([asdict(event) for event in self._events.values()])

    async def _replace_plan(self, request: Request) -> Response:
        try:
            self._plan = Plan.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"error": explain(error, known=Plan.model_fields)}, 400)
        return JSONResponse(self._plan.model_dump(mode="json"))

    async def _reset(self, _: Request) -> Response:
        with self._lock:
            self._events.clear()
            self._plan = Plan()
        return JSONResponse({"status": "ok"})


def _check_of(secret: str) -> standardwebhooks.Webhook:
    try:
        return standardwebhooks.Webhook(secret)
    except (ValueError, standardwebhooks.webhooks.EmptyWebhookSecretError):
        raise ValueError("a webhook secret must be whsec_ and base64 text") from None


def _describe(body: bytes) -> tuple[str | None, str | None]:
    """Return type and job id, as far as the body has them."""
    try:
        event = json.loads(body)
    except ValueError:
        return None, None
    if not isinstance(event, dict):
        return None, None
    data = event.get("data")
    return event.get("type"), data.get("id") if isinstance(data, dict) else None


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """How to run the receiver.

    Attributes:
        host: The address to listen on.
        port: 0 takes a free one.
        secrets: What deliveries may be signed with (`whsec_...`).
        allow_remote: Whether `host` may be another than a loopback address.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    secrets: Sequence[str] = field(default=(), repr=False)
    allow_remote: bool = False


def run(options: ReceiverOptions) -> None:
    """Run the receiver in the foreground until SIGINT or SIGTERM; call it from the main thread.

    Raises:
        RemoteHostRefused: the host is not a loopback address and `allow_remote` is not set.
        PortUnavailable: the address can't be listened on.
        ValueError: a secret can't be read.
    """
    check_host(options.host, allow_remote=options.allow_remote)
    receiver = Receiver(options.secrets)
    serve(receiver.app(), name="receiver", host=options.host, port=options.port, on_stop=receiver.stopping.set)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 after a signal, 2 if the options can't be followed."""
    parser = argparse.ArgumentParser(prog="python -m swapsandbox.receiver", description="A webhook receiver.")
    defaults = ReceiverOptions()
    parser.add_argument("--host", default=defaults.host, help=f"where it listens; {defaults.host} where it is left out")
    parser.add_argument("--port", type=int, default=defaults.port, help="0 takes a free one")
    parser.add_argument("--secret", action="append", default=[], dest="secrets", help="whsec_..., repeatable")
    parser.add_argument("--allow-remote", action="store_true", help="permit a host beyond this machine")
    try:
        run(ReceiverOptions(**vars(parser.parse_args(arguments))))
    except (RemoteHostRefused, PortUnavailable, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command line speaks
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
