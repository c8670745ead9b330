"""A direct route is given what it is declared with, or can't be declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from fastapi import APIRouter, Depends, Query, Request, Response

# FastAPI reads the annotations of routes when it runs.
from swapjobs.gateway.auth import Caller  # noqa: TC001
from swapjobs.gateway.dependencies import Gateway, Reader  # noqa: TC001
from swapjobs.gateway.direct_route import DirectRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def nobody() -> None:
    return None


async def with_query(request: Request, caller: Reader, limit: Annotated[int, Query()] = 1) -> Response:
    return Response(f"{request} {caller} {limit}")


async def with_a_dependency(request: Request, caller: Reader, gateway: Gateway) -> Response:
    return Response(f"{request} {caller} {gateway}")


async def with_a_caller_of_its_own(request: Request, caller: Annotated[Caller, Depends(nobody)]) -> Response:
    return Response(f"{request} {caller}")


@pytest.mark.parametrize("route", [with_query, with_a_dependency, with_a_caller_of_its_own])
def test_what_it_would_not_be_given_is_refused(route: Callable[..., Awaitable[Response]]) -> None:
    with pytest.raises(TypeError, match="direct route"):
        APIRouter(route_class=DirectRoute).add_api_route("/", route)
