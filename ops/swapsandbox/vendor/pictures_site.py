"""The sandbox's files over HTTP: results, sample pictures, a page that says what this is."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.contract.vendor_tools.tool import PREFIX

if TYPE_CHECKING:
    from starlette.requests import Request

    from swapsandbox.vendor.engine import Engine

PICTURES: Final = Path(__file__).parents[1] / "pictures"
NO_SWAP_NAME: Final = "no-swap.png"

_ONE_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_TYPES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>swapjobs sandbox</title>
<h1>swapjobs sandbox</h1>
<p>A local stand-in for the remote face-swap API, for rehearsals and tests. Nothing leaves this machine
except the pictures' own URLs being fetched; nothing is billed.</p>
<ul>
<li>the tools of the vendor's API, under its own paths, and the queries of their tasks: PATHS</li>
<li><a href="/_sandbox/stats">counts</a>, <a href="/_sandbox/calls">calls</a>,
<a href="/_sandbox/tasks">tasks</a>, <a href="/_sandbox/faults">faults</a></li>
<li>sample pictures: PICTURES</li>
</ul></html>
"""


def suffix(picture: bytes | None) -> str:
    """Return the file suffix of an encoded picture: `.png` or `.jpg`."""
    return ".jpg" if picture is not None and picture.startswith(b"\xff\xd8") else ".png"


def sample_names() -> list[str]:
    """Return the names of the sample pictures."""
    return sorted(file.name for file in PICTURES.glob("*") if file.suffix in _TYPES)


def routes(engine: Engine | None) -> list[Route]:
    """Return the routes; without an engine there are no results but the fixed one."""

    async def output(request: Request) -> Response:
        name: str = request.path_params["name"]
        stem, dot, kind = name.rpartition(".")
        picture = _ONE_PIXEL if name == NO_SWAP_NAME else engine.picture(stem) if engine else None
        if picture is None or f"{dot}{kind}" != suffix(picture):
            return PlainTextResponse("no such output, or no longer", 404)
        return Response(picture, media_type=_TYPES[suffix(picture)])

    return [
        Route("/", _index),
        Route("/outputs/{name}", output),
        Route("/pictures/{name}", _sample),
    ]


async def _index(_: Request) -> Response:
    links = ", ".join(f'<a href="/pictures/{name}">{name}</a>' for name in sample_names())
    paths = ", ".join(f"<code>POST {PREFIX}/{html.escape(tool.path)}</code>" for tool in TOOLS.values())
    return HTMLResponse(_PAGE.replace("PICTURES", links).replace("PATHS", paths))


async def _sample(request: Request) -> Response:
    name: str = request.path_params["name"]
    # A name from the listing can't leave the folder, whatever the caller made of it.
    if name not in sample_names():
        return PlainTextResponse("no such picture", 404)
    return FileResponse(PICTURES / name)
