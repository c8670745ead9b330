"""The routes of the console answer errors with pages, and those who are not signed in with the door."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from swapjobs.contract.errors import SwapjobsError
from swapjobs.contract.wrong_values import what_is_wrong
from swapjobs.gateway.console.pages import base_of, here_of, page
from swapjobs.gateway.console.session import SignInNeeded, Viewer
from swapjobs.gateway.console.texts import texts
from swapjobs.gateway.problems import STATUSES, HttpProblem, public

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ConsoleRoute(APIRoute):
    """A route of the console."""

    def get_route_handler(self) -> Handler:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await answer(request)
            except SignInNeeded:
                response = _to_the_door(request)
            except (SwapjobsError, HttpProblem, RequestValidationError) as error:
                response = _error_page(request, *_told(error))
            for cookie in getattr(request.state, "cookies", []):
                response.headers.append("Set-Cookie", cookie)
            return response

        return handle


def _error_page(request: Request, status: int, code: str, detail: str) -> Response:
    """Return a page that says what is wrong; with the rest of the console where it is known who looks."""
    heading = f"error.{code}" if texts("en").known(f"error.{code}") else "error.other"
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    return page(request, viewer, "error.html", http_status=status, heading=heading, detail=detail, code=code)


def _told(error: SwapjobsError | HttpProblem | RequestValidationError) -> tuple[int, str, str]:
    if isinstance(error, SwapjobsError):
        return STATUSES.get(error.code, 500), error.code, public(error)
    if isinstance(error, HttpProblem):
        return error.status, error.code, error.detail
    first = error.errors()[0]
    return 422, "invalid_request", f"{first['loc'][-1]}: {what_is_wrong(first)}"


def _to_the_door(request: Request) -> Response:
    """Send a browser to where one signs in; what a script of ours asks for is to take the whole page there."""
    place = f"{base_of(request)}/sign-in"
    if request.method == "GET" and "hx-request" not in request.headers:
        return RedirectResponse(f"{place}?next={quote(here_of(request), safe='')}", HTTPStatus.SEE_OTHER)
    return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": place})
