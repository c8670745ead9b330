"""A page is a template with what it shows, the words of the viewer's language, and headers that let nothing foreign in.

Whatever callers and the vendor wrote is hostile: the templates escape everything, and the Content-Security-Policy lets
no script run but the files of this console.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from swapjobs.contract.fetched_urls import check_url
from swapjobs.contract.lifecycle import FINAL
from swapjobs.gateway.console import charts
from swapjobs.gateway.console.session import language_of
from swapjobs.gateway.console.texts import LANGUAGES, texts
from swapjobs.report.charts import duration
from swapjobs.report.figures import STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from swapjobs.gateway.console.session import Viewer

PREFIX: Final = "/console"
_MANY: Final = 10  # from there on digits behind the point say nothing


def base_of(request: Request) -> str:
    """Return the path of the console, as the browser sees it: a proxy may serve the gateway below another one."""
    return str(request.scope.get("root_path", "")) + PREFIX


def here_of(request: Request) -> str:
    """Return path and query of the page that is asked for."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def page(request: Request, viewer: Viewer | None, template: str, *, http_status: int = 200, **shown: Any) -> Response:
    """Return a page, or a part of one, for who looks; None: for somebody who is not signed in."""
    html = render(request, viewer, template, **shown)
    # Without a referrer at all browsers call the origin of a form `null`, as they do that of a page in a sandbox.
    headers = {"Content-Security-Policy": policy(request), "Referrer-Policy": "same-origin"}
    return HTMLResponse(html, http_status, headers=headers)


def render(request: Request, viewer: Viewer | None, template: str, **shown: Any) -> str:
    """Return the HTML of a template."""
    settings = request.app.state.parts.settings
    language = viewer.language if viewer else language_of(request)
    common = {
        "t": texts(language),
        "language": language,
        "languages": LANGUAGES,
        "viewer": viewer,
        "base": base_of(request),
        "here": here_of(request),
        "pictures": settings.console_pictures,
        "prices": settings.prices,
        "flower_url": settings.flower_url,
        "version": version("swapjobs"),
        "stamp": _stamp(),
    }
    return _environment().get_template(template).render({**common, **shown})


def see(request: Request, place: str) -> Response:
    """Send the browser on to another page of the console, after a change."""
    return RedirectResponse(base_of(request) + place, 303)


def policy(request: Request) -> str:
    """Return the Content-Security-Policy: our own files alone, and pictures from elsewhere only where they may be."""
    pictures = ""
    if request.app.state.parts.settings.console_pictures:
        pictures = " https:" if request.url.scheme == "https" else " https: http:"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{pictures}; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def bare(url: str) -> str:
    """Return a URL without what may be a signature."""
    return url.partition("#")[0].partition("?")[0]


def web(url: str | None) -> str:
    """Return a URL that a browser may load; empty where it is of another kind."""
    try:
        return check_url(url) if url else ""
    except ValueError:
        return ""


def asset(name: str) -> bytes | None:
    """Return a file of `static`; None where there is none of this name."""
    path = resources.files(__package__) / "static" / name
    return path.read_bytes() if name in _assets() else None


@cache
def _assets() -> frozenset[str]:
    return frozenset(entry.name for entry in (resources.files(__package__) / "static").iterdir())


@cache
def _stamp() -> str:
    """Return what changes with the files, so that a browser may keep them."""
    return hashlib.sha256(b"".join(asset(name) or b"" for name in sorted(_assets()))).hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader(__package__ or "", "templates"),
    )
    environment.filters |= {
        "num": lambda value: f"{value:,}" if isinstance(value, int) else f"{value:,.3g}",
        "money": lambda value: f"{value:,.2f}",
        "rate": lambda value: f"{value:,.0f}" if value >= _MANY else f"{value:.2g}",
        "span": duration,
        "finished": lambda counts: sum(counts[state] for state in FINAL),
        "bare": bare,
        "web": web,
        "when": _when,
        "as_json": lambda value: json.dumps(value, ensure_ascii=False, indent=2, default=str),
    }
    environment.globals |= {
        "label_of": _label_of,
        "bars": charts.bars,
        "divided": charts.divided,
        "meter": charts.meter,
        "all_states": tuple(state.value for state in STATES),
    }
    return environment


def _label_of(field: str, t: Callable[..., str]) -> str:
    """Return what a field with a picture is called: those of a swap in the viewer's language, others by their name."""
    return t(_LABELS[field]) if field in _LABELS else field


_LABELS: Final = {
    "source_url": "picture.source",
    "second_source_url": "picture.second",
    "target_url": "picture.target",
    "output_url": "picture.result",
}


def _when(at: datetime | None) -> Markup:
    """Return a time; a script of ours shows it as that of the place where it is read."""
    if at is None:
        return Markup("")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M:%S}"
    )
