"""Routes that are asked for thousands of times a second, or stay open by the thousand.

To resolve dependencies as FastAPI does, and to check our own answer against its model, costs more than the rest of a
submit; and each request that is under way holds twenty frames of its routers. Such a route is declared like any other,
so that the document has it, and is served ahead of them: what it is given is read here, straight from the request.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from fastapi import APIRouter, Request, Response, params
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Match

from swapjobs import tracing
from swapjobs.gateway.dependencies import authenticate, caller_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

_GIVEN: Final = {"request", "caller"}


class DirectRoute(APIRoute):
    """Calls its function with the request, the `caller` whom its annotation asks for, headers and parts of the path.

    Headers are optional texts, parts of the path are texts; all else the function reads for itself.
    """

    answer: Callable[[Request], Coroutine[Any, Any, Response]]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint: Any = self.endpoint
        scopes = _scopes_of(endpoint)
        headers = [(parameter.name, parameter.alias) for parameter in self.dependant.header_params]
        named = {name for name, _ in headers} | {parameter.name for parameter in self.dependant.path_params}
        if get_type_hints(endpoint).keys() - {"return"} != _GIVEN | named:
            raise TypeError(f"{self.name}: takes what a direct route is not given")

        async def answer(request: Request) -> Response:
            caller = await caller_of(request, parts_of(request), scopes)
            given = {name: request.headers.get(alias) for name, alias in headers}
            response: Response = await endpoint(request=request, caller=caller, **given, **request.path_params)
            return response

        self.answer = answer
        return answer


class DirectRoutes:
    """ASGI middleware, the innermost one: serves the direct routes of a router, with the app's answers to errors."""

    def __init__(self, app: ASGIApp, *, router: APIRouter, handlers: Mapping[Any, Any]) -> None:
        self._app = app
        self._routes = [route for route in router.routes if isinstance(route, DirectRoute)]
        unexpected = (Exception, HTTPStatus.INTERNAL_SERVER_ERROR)  # further out, where the app has it
        mapped = {kind: handler for kind, handler in handlers.items() if kind not in unexpected}
        self._serve = ExceptionMiddleware(_serve, mapped)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or pass it on."""
        if scope["type"] == "http":
            for route in self._routes:
                match, facts = route.matches(scope)
                if match is Match.FULL:
                    scope.update(facts)
                    tracing.name_request(f"{scope['method']} {route.path_format}", route.path_format)
                    await self._serve(scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    route: DirectRoute = scope["route"]
    response = await route.answer(Request(scope, receive, send))
    await response(scope, receive, send)


def json_answer(model: BaseModel, status: int = 200) -> Response:
    """Return an answer with a model's JSON."""
    return Response(model.__pydantic_serializer__.to_json(model), status, media_type="application/json")


def _scopes_of(endpoint: Any) -> tuple[str, ...]:
    annotation = get_type_hints(endpoint, include_extras=True)["caller"]
    security = next((item for item in annotation.__metadata__ if isinstance(item, params.Security)), None)
    if security is None or security.dependency is not authenticate:
        raise TypeError("the caller of a direct route is one of gateway/dependencies.py")
    return tuple(security.scopes or ())
