"""Routes that are asked for thousands of times a second, or stay open by the thousand.

To resolve dependencies as FastAPI does, and to check our own answer against its model, costs more than the rest of a
submit. Such a route is declared like any other, so that the document has it, and returns its answer as bytes; what it
is given is read here, straight from the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_type_hints

from fastapi import Response, params
from fastapi.routing import APIRoute
from pydantic import BaseModel

from swapjobs.gateway.dependencies import authenticate, caller_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request

_GIVEN: Final = {"request", "caller"}


class DirectRoute(APIRoute):
    """Calls its function with the request, the `caller` whom its annotation asks for, headers and parts of the path.

    Headers are optional texts, parts of the path are texts; all else the function reads for itself.
    """

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

        return answer


def json_answer(model: BaseModel, status: int = 200) -> Response:
    """Return an answer with a model's JSON."""
    return Response(model.__pydantic_serializer__.to_json(model), status, media_type="application/json")


def _scopes_of(endpoint: Any) -> tuple[str, ...]:
    annotation = get_type_hints(endpoint, include_extras=True)["caller"]
    security = next((item for item in annotation.__metadata__ if isinstance(item, params.Security)), None)
    if security is None or security.dependency is not authenticate:
        raise TypeError("the caller of a direct route is one of gateway/dependencies.py")
    return tuple(security.scopes or ())
