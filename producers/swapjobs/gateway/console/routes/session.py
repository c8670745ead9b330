"""Signing in and out, the language, and the files of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from swapjobs.contract.errors import AccessDenied
from swapjobs.gateway.console.pages import asset, base_of, page, see
from swapjobs.gateway.console.routing import ConsoleRoute
from swapjobs.gateway.console.session import (
    COOKIE,
    LANGUAGE_COOKIE,
    SignInNeeded,
    Viewing,
    find_viewer,
    may_look,
    read_form,
    read_own_form,
    set_cookie,
)
from swapjobs.gateway.console.texts import LANGUAGES
from swapjobs.gateway.dependencies import Gateway
from swapjobs.gateway.problems import HttpProblem
from swapjobs.store.access.api_keys import digest, id_of
from swapjobs.store.redis_client import queue_errors

router = APIRouter(route_class=ConsoleRoute)

_YEAR_S = 31_536_000
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "LICENSE": "text/plain"}


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Give one of the console's files."""
    content = asset(name)
    if content is None:
        raise HTTPException(404)
    kind = _TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": f"public, max-age={_YEAR_S}, immutable"}
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)


@router.get("/sign-in")
async def door(request: Request, gateway: Gateway, after: Annotated[str, Query(alias="next")] = "") -> Response:
    """Ask for a key; where none is needed, or somebody is signed in already, go in."""
    try:
        await find_viewer(request, gateway)
    except SignInNeeded:
        return page(request, None, "sign_in.html", after=after, wrong="")
    return see(request, _inside(request, after))


@router.post("/sign-in")
async def sign_in(request: Request, gateway: Gateway) -> Response:
    """Begin a session with a key."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HttpProblem(403, "a page of another site sent this")
    form = await read_form(request)
    key = form["key"]
    try:
        caller = await gateway.access.identify(key)
    except AccessDenied:
        return page(request, None, "sign_in.html", http_status=401, after=form["next"], wrong="sign_in.unknown")
    if not may_look(caller):
        return page(request, None, "sign_in.html", http_status=403, after=form["next"], wrong="sign_in.scope")

    def begin() -> str:
        with queue_errors():
            sessions = gateway.store.console_sessions
            return sessions.begin(id_of(key), digest(key), gateway.settings.console_session_s)

    set_cookie(request, COOKIE, await run_in_threadpool(begin), gateway.settings.console_session_s)
    return see(request, _inside(request, form["next"]))


@router.post("/sign-out")
async def sign_out(request: Request, gateway: Gateway, viewer: Viewing) -> Response:
    """End the session. Whoever may not change anything may go, too."""
    await read_own_form(request, viewer)

    def end() -> None:
        with queue_errors():
            gateway.store.console_sessions.end(viewer.token)

    await run_in_threadpool(end)
    set_cookie(request, COOKIE, "", 0)
    return see(request, "/sign-in")


@router.get("/language/{name}")
async def language(request: Request, name: str, after: Annotated[str, Query(alias="next")] = "") -> Response:
    """Choose the language."""
    if name not in LANGUAGES:
        raise HttpProblem(404, "the console is not there in this language")
    set_cookie(request, LANGUAGE_COOKIE, name, _YEAR_S)
    return see(request, _inside(request, after))


def _inside(request: Request, place: str) -> str:
    """Return a path within the console; the first page where another one is asked for."""
    base = base_of(request)
    return place.removeprefix(base) if place.startswith(f"{base}/") else "/"
