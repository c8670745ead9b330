"""The page / says what this is; /docs is Swagger UI, its files from a package: a browser fetches nothing elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from swapjobs.gateway.dependencies import Gateway

router = APIRouter(include_in_schema=False)

_WHAT: Final = "The HTTP gateway of a job queue in front of a face-swap API"
_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


_PLACES: Final = {
    "docs": "docs",
    "openapi": "openapi.json",
    "health": "healthz",
    "ready": "readyz",
}


@router.head("/")
@router.get("/")
async def index(request: Request, gateway: Gateway) -> Response:
    """Say what this is and where to go on, to a program or to somebody with a browser."""
    places = {"console": "console/", **_PLACES} if gateway.settings.console else _PLACES
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"name": "swapjobs", "what": _WHAT, **places})
    links = "".join(f'<li><a href="{place}">{name}</a></li>' for name, place in places.items())
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>swapjobs</title><h1>swapjobs</h1><p>{_WHAT}</p>"
    return HTMLResponse(f"{page}<ul>{links}</ul>", headers={"Content-Security-Policy": "default-src 'none'"})


@router.get("/docs")
async def docs() -> Response:
    """Show the OpenAPI document, with buttons to try it."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="swapjobs",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon-32x32.png",
    )
    html = bytes(page.body).decode()
    return HTMLResponse(html, headers={"Content-Security-Policy": _policy(html)})


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    """Give one of Swagger UI's files."""
    if name not in _FILES:
        raise HTTPException(404)
    content = resources.files("fastapi_swagger.resources").joinpath(name).read_bytes()
    return Response(content, media_type=_FILES[name], headers={"Cache-Control": "public, max-age=3600"})


def _policy(html: str) -> str:
    """Return the page's content security policy: our files, the one script within it, and requests to this gateway."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    own = " ".join(f"'sha256-{item}'" for item in hashes)
    return (
        f"default-src 'none'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
